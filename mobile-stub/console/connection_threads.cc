#include "mobile-stub/console/connection_threads.h"

#include <utility>

namespace keystead::console {

bool ConnectionThreads::Run(std::function<void()> job) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return false;
  if (jobs_.size() >= idle_) {
    if (threads_.size() >= max_) return false;
    threads_.emplace_back([this] { Work(); });
    ++idle_;  // it will come for this job
  }
  jobs_.push_back(std::move(job));
  return true;
}

void ConnectionThreads::Work() {
  const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !jobs_.empty() || stopping_; };
  while (true) {
    std::function<void()> job;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&due));
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      --idle_;
    }
    job();
    absl::MutexLock lock(&mutex_);
    ++idle_;
  }
}

void ConnectionThreads::Shutdown() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace keystead::console
