// What the owner asked for and takes its time: each on a thread of its own, told step by step to the model.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "mobile-stub/console/console_model.h"
#include "mobile-stub/engine.h"

namespace keystead::console {

// Thread-safe.
class Tasks {
 public:
  // Answers the fields of the outcome, or why there is none.
  using Work = std::function<absl::StatusOr<nlohmann::json>(const mobile::ProgressFn& progress)>;
  enum class Kind { kCommand, kMembership };  // of changes of membership, one at a time

  Tasks(ConsoleModel* model, const Clock* clock) : model_(*model), clock_(*clock) {}
  ~Tasks();

  // `facts`: what the task is, for whoever reads: it stands in every version of it. The id. UNAVAILABLE: as
  // many as may run do so; ABORTED: another change of membership is under way.
  absl::StatusOr<std::string> Start(Kind kind, nlohmann::json facts, Work work);

  // No new ones; false when some are still running after `patience`.
  bool Finish(absl::Duration patience);
  static constexpr size_t kMaxCommands = 8;

 private:
  struct Running {
    Kind kind = Kind::kCommand;
    nlohmann::json task;
    std::thread thread;
    bool done = false;
  };
  void Run(const std::string& id, const Work& work);
  void Step(const std::string& id, const mobile::Progress& progress);
  void End(const std::string& id, const absl::StatusOr<nlohmann::json>& outcome);
  void Reap() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ConsoleModel& model_;
  const Clock& clock_;
  absl::Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::string, Running> running_ ABSL_GUARDED_BY(mutex_);
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace keystead::console
