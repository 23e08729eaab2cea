#include "core/sealing/lease.h"

namespace keystead {

void Lease::Resume(std::optional<absl::Duration> charged, absl::Duration uptime) {
  before_ = charged.value_or(absl::InfiniteDuration());
  since_ = uptime;
  charged_.reset();
}

void Lease::Hear(absl::Duration uptime) {
  before_ = absl::ZeroDuration();
  since_ = uptime;
  charged_.reset();
}

std::optional<absl::Duration> Lease::DueCharge(absl::Duration uptime) const {
  const absl::Duration silence = Silence(uptime);
  if (silence == absl::InfiniteDuration()) return std::nullopt;  // what is stored, nothing, says it already
  if (charged_.has_value() && silence < *charged_) return std::nullopt;
  return silence + kLeaseStep;
}

}  // namespace keystead
