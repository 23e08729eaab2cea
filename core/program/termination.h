// The wish that a program ends.
#pragma once

#include <array>

#include "absl/time/time.h"

namespace keystead {

// SIGTERM and SIGINT as an event. Make one at the start of main, before there is a second thread: it blocks
// both signals for this thread and all it starts. One per process.
class TerminationSignal {
 public:
  TerminationSignal();
  ~TerminationSignal();
  TerminationSignal(const TerminationSignal&) = delete;
  TerminationSignal& operator=(const TerminationSignal&) = delete;

  void Wait();                           // until SIGTERM, SIGINT or Trigger
  bool WaitFor(absl::Duration timeout);  // false: not yet
  void Trigger();                        // as if signalled; thread-safe

  // For who waits for something else as well: poll both for POLLIN, either means "end", and leave both
  // unread. Valid as long as this.
  std::array<int, 2> descriptors() const { return {signal_fd_, trigger_fd_}; }

 private:
  int signal_fd_ = -1;
  int trigger_fd_ = -1;
};

}  // namespace keystead
