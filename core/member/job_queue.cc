#include "core/member/job_queue.h"

#include <utility>

namespace keystead {

void JobQueue::Post(std::function<void()> job) {
  {
    absl::MutexLock lock(&mutex_);
    queue_.push_back(std::move(job));
    if (++jobs_ > 1) return;  // the one that runs takes it along: order is kept
  }
  executor_->Post([this] { Run(); });
}

void JobQueue::Run() {
  while (true) {
    std::function<void()> job;
    {
      absl::MutexLock lock(&mutex_);
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job();
    job = nullptr;  // what it held may go before the queue says that it is done
    absl::MutexLock lock(&mutex_);
    if (--jobs_ == 0) return;
  }
}

void JobQueue::Drain() {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return jobs_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&idle));
}

}  // namespace keystead
