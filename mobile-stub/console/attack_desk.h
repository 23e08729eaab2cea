// Attacks on this home's own path, by equipment that stands there to be hostile (keystead.v1.InfraControl),
// and what became of each record that was attacked: refused by the next hop, noticed by this app, or without
// effect.
#pragma once

#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "keystead/v1/infra.pb.h"
#include "mobile-stub/console/reader_notes.h"
#include "mobile-stub/console/remote.h"

namespace keystead::console {

// Thread-safe. Asks all equipment at once and waits three seconds at most, whatever it does. Tells of attacks
// that were armed here, the newest kMaxAttacks of them.
class AttackDesk {
 public:
  static constexpr size_t kMaxAttacks = 30;

  // `notes` and `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<AttackDesk>> Open(std::vector<RemoteOptions> remotes,
                                                          const ReaderNotes* notes, const Clock* clock);
  ~AttackDesk();

  const std::vector<RemoteOptions>& remotes() const { return remotes_; }
  // NOT_FOUND: there is no such equipment. Otherwise what it says.
  absl::StatusOr<uint64_t> Arm(const std::string& remote, const v1::ArmRequest& request);
  // Every attack on all of them, whoever armed it. The first error; the others were disarmed all the same.
  absl::Status DisarmAll();
  // As the API says it (openapi.json, "Attacks").
  nlohmann::json Report();

 private:
  struct Peer;
  struct Attack {
    std::string remote;
    uint64_t number = 0;
    v1::ArmRequest request;
    int64_t armed_us = 0;
    int injected = 0;                   // as asked last
    v1::InjectionsResponse injections;  // likewise, the first of them
  };
  AttackDesk(std::vector<RemoteOptions> remotes, const ReaderNotes* notes, const Clock* clock);
  Peer* Find(const std::string& name) const;
  void AskForInjections(const std::set<std::string>& answering, absl::Time deadline);
  nlohmann::json AttackJson(const Attack& attack, bool armed) const;
  nlohmann::json InjectionJson(const v1::Injection& injection, int64_t since_us) const;
  void AddNotices(const RecordName& at, int64_t since_us, nlohmann::json& to) const;

  const std::vector<RemoteOptions> remotes_;
  const ReaderNotes& notes_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Peer>> peers_;         // as they are from Open on
  absl::Mutex asking_ ABSL_ACQUIRED_BEFORE(mutex_);  // for reports: many pages cost no more than one
  absl::Mutex mutex_;
  std::deque<Attack> attacks_ ABSL_GUARDED_BY(mutex_);  // the newest first
};

}  // namespace keystead::console
