// A few threads for what must not run on gRPC's two or on the store's one.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace keystead {

// Thread-safe. Jobs start in order of Post.
class Executor {
 public:
  explicit Executor(int threads);
  ~Executor();  // runs what was posted, then joins
  // The queue has no bound of its own: who posts bounds what it has under way (each call at most one job).
  void Post(std::function<void()> job);
  void Drain();  // waits until nothing is queued or running; never from a job

 private:
  void Run();

  absl::Mutex mutex_;
  std::deque<std::function<void()>> jobs_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace keystead
