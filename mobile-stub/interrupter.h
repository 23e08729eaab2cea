// An end from outside, at any moment, while a verb blocks in a call, a lock or a read.
#pragma once

#include <string>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "core/program/termination.h"

namespace keystead::mobile {

// While one lives, the process is not ended by an Interrupter: around what must be written whole. Short, and
// may be nested.
class WholeWrite {
 public:
  WholeWrite();
  ~WholeWrite();
  WholeWrite(const WholeWrite&) = delete;
  WholeWrite& operator=(const WholeWrite&) = delete;
};

// Ends the process with exit code 1 and one line on standard error when a termination signal comes. That is
// sound wherever a crash is: state is replaced whole or not at all, and what must be whole beyond that holds
// a WholeWrite. docs/decisions/0011.
class Interrupter {
 public:
  // `signal` must outlive it, and counts as triggered once this is destroyed.
  Interrupter(TerminationSignal* signal, std::string program);
  ~Interrupter();
  Interrupter(const Interrupter&) = delete;
  Interrupter& operator=(const Interrupter&) = delete;

  // What an end from here on means: follows "stopped by a signal: ".
  void Say(std::string meaning);
  // From here on the verb itself looks at the signal.
  void Disarm();

 private:
  void Run();
  [[noreturn]] void End();

  TerminationSignal& signal_;
  const std::string program_;
  absl::Mutex mutex_;
  std::string meaning_ ABSL_GUARDED_BY(mutex_) = "nothing was changed";
  bool armed_ ABSL_GUARDED_BY(mutex_) = true;
  std::thread thread_;
};

}  // namespace keystead::mobile
