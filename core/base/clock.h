// Time as a dependency: nothing below the programs reads a clock that a test cannot set.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keystead {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;         // wall clock: shown to people, never trusted for freshness
  virtual absl::Duration Uptime() const = 0;  // monotonic, counts also while suspended (CLOCK_BOOTTIME)
  static const Clock& System();               // lives for ever
};

// Stands still until told. For tests.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time now = absl::FromUnixSeconds(1'800'000'000)) : now_(now) {}
  absl::Time Now() const override;
  absl::Duration Uptime() const override;
  void Advance(absl::Duration by);

 private:
  mutable absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
  absl::Duration uptime_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1);
};

}  // namespace keystead
