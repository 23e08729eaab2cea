// A simulated device's clock: its uptime counts from the start of the process, as if the process were the
// device. Everything a device signs or judges goes by it.
#pragma once

#include "core/base/clock.h"

namespace keystead::device_sim {

// Thread-safe. `base` must outlive it.
class DeviceClock final : public Clock {
 public:
  explicit DeviceClock(const Clock& base = Clock::System()) : base_(base), started_(base.Uptime()) {}
  absl::Time Now() const override { return base_.Now(); }
  absl::Duration Uptime() const override { return base_.Uptime() - started_; }

 private:
  const Clock& base_;
  const absl::Duration started_;
};

}  // namespace keystead::device_sim
