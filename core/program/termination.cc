#include "core/program/termination.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/time/clock.h"

namespace keystead {

TerminationSignal::TerminationSignal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  trigger_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signal_fd_ < 0 || trigger_fd_ < 0) {
    std::perror("keystead: signalfd");  // no descriptors at the start of a process: nothing could work
    std::abort();
  }
}

// The signals stay blocked: whoever ends does so by itself from here on.
TerminationSignal::~TerminationSignal() {
  close(signal_fd_);
  close(trigger_fd_);
}

void TerminationSignal::Wait() { WaitFor(absl::InfiniteDuration()); }

bool TerminationSignal::WaitFor(absl::Duration timeout) {
  const absl::Time until = absl::Now() + timeout;
  while (true) {
    pollfd waiting[2] = {{signal_fd_, POLLIN, 0}, {trigger_fd_, POLLIN, 0}};
    const absl::Duration left = std::clamp(until - absl::Now(), absl::ZeroDuration(), absl::Hours(1));
    const int ready = poll(
        waiting, 2, static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)))));
    if (ready > 0) return true;
    if (absl::Now() >= until) return false;
  }
}

void TerminationSignal::Trigger() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      write(trigger_fd_, &one, sizeof one);  // full means triggered already
}

}  // namespace keystead
