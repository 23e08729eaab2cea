// While a `watch` runs: hands commits that are not confirmed to the next hop again and again.
#pragma once

#include <optional>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "mobile-stub/engine.h"

namespace keystead::mobile {

// A thread of its own. A verb that changes the membership goes first: then it does nothing, and also not
// before it has seen a change unconfirmed for a whole interval.
class PendingKeeper {
 public:
  // `engine` must outlive it.
  PendingKeeper(const Engine* engine, absl::Duration interval);
  ~PendingKeeper();  // waits for a call that is under way, a few seconds at most
  PendingKeeper(const PendingKeeper&) = delete;
  PendingKeeper& operator=(const PendingKeeper&) = delete;

 private:
  void Run();
  void TryOnce();

  const Engine& engine_;
  const absl::Duration interval_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Digest> seen_;  // thread's own
  std::thread thread_;
};

}  // namespace keystead::mobile
