#include "mobile-stub/interrupter.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

namespace keystead::mobile {
namespace {

// How many writes are under way. Once closed, no further one begins; those within one go on.
class Gate {
 public:
  void Enter() {
    absl::MutexLock lock(&mutex_);
    const auto open = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !closed_ || writes_ > 0; };
    mutex_.Await(absl::Condition(&open));
    ++writes_;
  }
  void Leave() {
    absl::MutexLock lock(&mutex_);
    --writes_;
  }
  void Close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    const auto quiet = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return writes_ == 0; };
    mutex_.Await(absl::Condition(&quiet));
  }

 private:
  absl::Mutex mutex_;
  int writes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

Gate& TheGate() {
  static auto* const gate = new Gate;  // needed until the very end of the process
  return *gate;
}

}  // namespace

WholeWrite::WholeWrite() { TheGate().Enter(); }
WholeWrite::~WholeWrite() { TheGate().Leave(); }

Interrupter::Interrupter(TerminationSignal* signal, std::string program)
    : signal_(*signal), program_(std::move(program)), thread_([this] { Run(); }) {}

Interrupter::~Interrupter() {
  Disarm();
  signal_.Trigger();
  thread_.join();
}

void Interrupter::Say(std::string meaning) {
  absl::MutexLock lock(&mutex_);
  meaning_ = std::move(meaning);
}

void Interrupter::Disarm() {
  absl::MutexLock lock(&mutex_);
  armed_ = false;
}

void Interrupter::Run() {
  signal_.Wait();
  {
    absl::MutexLock lock(&mutex_);
    if (!armed_) return;
  }
  End();
}

void Interrupter::End() {
  TheGate().Close();
  std::string meaning;
  {
    absl::MutexLock lock(&mutex_);
    meaning = meaning_;
  }
  std::fflush(stdout);
  std::fprintf(stderr, "%s: stopped by a signal: %s\n", program_.c_str(), meaning.c_str());
  std::fflush(stderr);
  _exit(1);
}

}  // namespace keystead::mobile
