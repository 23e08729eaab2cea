// The owner's console: a session that reads the home, a model of it, tasks, and a server that shows them to a
// browser.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "mobile-stub/console/access.h"
#include "mobile-stub/console/attack_desk.h"
#include "mobile-stub/console/console_model.h"
#include "mobile-stub/console/http_server.h"
#include "mobile-stub/console/others.h"
#include "mobile-stub/console/reader_notes.h"
#include "mobile-stub/console/router.h"
#include "mobile-stub/console/tasks.h"
#include "mobile-stub/membership.h"
#include "mobile-stub/observer_list.h"
#include "mobile-stub/pending_keeper.h"
#include "mobile-stub/watch_session.h"

namespace keystead::console {

struct ConsoleOptions {
  std::string address = "127.0.0.1";  // numeric
  int port = 0;
  std::vector<std::string> host_names;  // further names by which a browser may call
  HttpLimits http;
  size_t event_streams = 8;  // at a time; each takes one of the connections
  ModelLimits model;
  // Where a recovery key goes that is made here; unset: nothing can be founded from the page, and `why` says
  // what to do.
  mobile::RecoverySink recovery;
  std::string recovery_place;  // for people: "the terminal in which this console runs", or the file's name
  absl::Duration join_patience = absl::Seconds(30);
  // Whom the app is connected to, for the page's words: the home's "gateway", or the "cloud".
  std::string next_hop = "cloud";
  mobile::WatchOptions watch;
  mobile::WatchObserver* also = nullptr;  // told of everything as well; not owned
  std::vector<RemoteOptions> observed;    // who may be asked what they hold; empty: nobody
  std::vector<RemoteOptions> infra;       // the equipment that may be told to attack; empty: none
};

// Which home is read.
struct HomeName {
  TenantName tenant;
  InstantiationId id;
};

// Thread-safe.
class Console {
 public:
  // `engine` must outlive it, and has a next hop. Where nothing was paired yet there is nothing to read: the
  // page can pair. Errors of the session and of the address.
  static absl::StatusOr<std::unique_ptr<Console>> Start(const mobile::Engine& engine, ConsoleOptions options,
                                                        SessionToken token);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  int port() const { return server_->port(); }
  // Ends server and session, with what was read stored. False: a task was under way and still is; it cannot
  // be waited for, so the process is to end as a verb does.
  absl::StatusOr<bool> Stop(absl::Duration patience);

  // Since somebody last did something here; looking on, as a page does by itself, is nothing.
  absl::Duration UnusedFor() const;

  // For the routes.
  const mobile::Engine& engine() const { return engine_; }
  const ConsoleOptions& options() const { return options_; }
  ConsoleModel& model() { return model_; }
  Tasks& tasks() { return tasks_; }
  // Who reads; null before anything was paired, and at the end. It may be stopped while it is held.
  std::shared_ptr<mobile::WatchSession> session();
  // After something was paired: begins to read, unless that was done already.
  absl::Status BeginToRead();
  const Router& router() const { return router_; }
  Others& others() { return *others_; }
  AttackDesk& attacks() { return *attacks_; }
  const ReaderNotes& notes() const { return notes_; }
  absl::StatusOr<HomeName> HomeSeen() const;  // FAILED_PRECONDITION: nothing was paired yet

 private:
  Console(const mobile::Engine& engine, ConsoleOptions options, SessionToken token);
  HttpResponse Answer(HttpRequest& request);
  void KeepHouse();

  const mobile::Engine& engine_;
  const ConsoleOptions options_;
  const Access access_;
  ConsoleModel model_;
  Tasks tasks_;
  ReaderNotes notes_;
  mobile::ObserverList told_;
  std::unique_ptr<Others> others_;
  std::unique_ptr<AttackDesk> attacks_;
  Router router_;

  mutable absl::Mutex mutex_;
  std::optional<HomeName> home_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<mobile::WatchSession> session_ ABSL_GUARDED_BY(mutex_);
  std::optional<mobile::PendingKeeper> keeper_;
  std::thread housekeeping_;
  std::atomic<int64_t> used_at_us_;  // uptime
  std::unique_ptr<HttpServer> server_;
};

}  // namespace keystead::console
