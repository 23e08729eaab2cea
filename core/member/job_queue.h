// One job at a time on an Executor, in order: what a link makes of what gRPC's threads hand it.
#pragma once

#include <deque>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/transport/executor.h"

namespace keystead {

// Thread-safe. The executor must outlive it. The queue has no bound of its own: who posts bounds what it has
// under way, for example by pausing its subscriber until the job is done.
class JobQueue {
 public:
  explicit JobQueue(Executor* executor) : executor_(executor) {}
  ~JobQueue() { Drain(); }

  void Post(std::function<void()> job);
  void Drain();  // waits until nothing is queued or running; never from a job

 private:
  void Run();

  Executor* const executor_;
  absl::Mutex mutex_;
  int jobs_ ABSL_GUARDED_BY(mutex_) = 0;  // queued and running
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead
