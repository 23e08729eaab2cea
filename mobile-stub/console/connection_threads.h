// A thread for each connection, and so many at most.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace keystead::console {

// Threads are made as they are needed and kept. Thread-safe.
class ConnectionThreads {
 public:
  explicit ConnectionThreads(size_t max) : max_(max) {}
  ~ConnectionThreads() { Shutdown(); }

  // False: all threads are busy, and nothing was done.
  bool Run(std::function<void()> job);
  void Shutdown();  // waits for all jobs

 private:
  void Work();

  const size_t max_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> jobs_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace keystead::console
