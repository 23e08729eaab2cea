// A few threads for what must not run on gRPC's two or on the store's one, shared fairly by those for whom it
// is done.
#pragma once

#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/fair_line.h"

namespace keystead {

// Thread-safe. Jobs of one flow start in order of Post; between flows it is decided by the time that their
// jobs took (core/base/fair_line.h): who brings much waits for itself.
class Executor {
 public:
  enum class Time {
    kOfProcessor,
    // For jobs that hold a thread while they wait, for the disk for example: how long they held it, at least
    // a whole turn and at most a second. While others wait, no flow starts two of them after each other.
    kElapsed,
  };
  explicit Executor(int threads, Time time = Time::kOfProcessor);
  ~Executor();  // runs what was posted, then joins
  // The queue has no bound of its own: who posts bounds what it has under way (each call at most one job).
  // `flow` names for whom the job is, a tenant for example; without it, the program itself.
  void Post(std::function<void()> job) { Post({}, std::move(job)); }
  void Post(std::string_view flow, std::function<void()> job);
  void Drain();  // waits until nothing is queued or running; never from a job

 private:
  void Run();
  double NowNs() const;

  const Time time_;
  absl::Mutex mutex_;
  FairLine<std::function<void()>> jobs_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace keystead
