// Calls functions later, on one thread of its own. For attacks that delay; a process has one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keystead::infra {

// Thread-safe. Destroying it drops what has not run yet and waits for what is running.
class Timer {
 public:
  Timer();
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // `run` is called on the timer's thread, must not block, and should hold what it needs weakly.
  void After(absl::Duration delay, std::function<void()> run);

 private:
  void Loop();
  absl::Mutex mutex_;
  std::multimap<absl::Time, std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::CondVar changed_;
  std::thread thread_;
};

}  // namespace keystead::infra
