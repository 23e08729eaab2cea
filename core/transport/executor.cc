#include "core/transport/executor.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "absl/hash/hash.h"

namespace keystead {
namespace {

// Of a flow in one round: several ordinary jobs, and no more than others can well wait for.
constexpr double kQuantumNs = 250'000;
// What one job counts at most: a debt of minutes would make whoever looks for the next go round and round.
constexpr double kMostNs = 1e9;

}  // namespace

Executor::Executor(int threads, Time time) : time_(time) {
  threads_.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

Executor::~Executor() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void Executor::Post(std::string_view flow, std::function<void()> job) {
  absl::MutexLock lock(&mutex_);
  jobs_.Push(absl::HashOf(flow), kQuantumNs, std::move(job));
}

void Executor::Drain() {
  const auto quiet = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return jobs_.waiting() == 0 && idle_ == static_cast<int>(threads_.size());
  };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&quiet));
}

double Executor::NowNs() const {
  timespec now{};
  clock_gettime(time_ == Time::kElapsed ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void Executor::Run() {
  pthread_setname_np(pthread_self(), "ks-executor");
  const auto wanted = [this]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return closing_ || jobs_.waiting() > 0; };
  absl::MutexLock lock(&mutex_);
  while (true) {
    ++idle_;
    mutex_.Await(absl::Condition(&wanted));
    --idle_;
    auto next = jobs_.Take();
    if (!next.has_value()) return;
    mutex_.Unlock();
    const double start = NowNs();
    next->item();
    next->item = nullptr;  // what it held may call back into us when it goes
    const double took = NowNs() - start;
    mutex_.Lock();
    jobs_.Pay(next->flow, time_ == Time::kElapsed ? std::clamp(took, kQuantumNs, kMostNs) : took);
  }
}

}  // namespace keystead
