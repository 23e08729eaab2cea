#include "infra-sim/timer.h"

#include <utility>

#include "absl/time/clock.h"

namespace keystead::infra {

Timer::Timer() : thread_([this] { Loop(); }) {}

Timer::~Timer() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
}

void Timer::After(absl::Duration delay, std::function<void()> run) {
  absl::MutexLock lock(&mutex_);
  waiting_.emplace(absl::Now() + delay, std::move(run));
  changed_.Signal();
}

void Timer::Loop() {
  absl::MutexLock lock(&mutex_);
  while (!stopping_) {
    if (waiting_.empty()) {
      changed_.Wait(&mutex_);
      continue;
    }
    const auto next = waiting_.begin();
    if (next->first > absl::Now()) {
      changed_.WaitWithDeadline(&mutex_, next->first);
      continue;
    }
    std::function<void()> run = std::move(next->second);
    waiting_.erase(next);
    mutex_.Unlock();
    run();
    run = nullptr;  // what it held is let go outside the lock
    mutex_.Lock();
  }
}

}  // namespace keystead::infra
