#include "core/transport/backoff.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/transport/limit_status.h"

namespace keystead {

Backoff::Backoff(const BackoffOptions& options, RandomSource* random)
    : options_(options), random_(random), bound_(std::min(options.initial, options.max)) {}

double Backoff::Share() {
  std::array<uint8_t, 8> bytes{};
  random_->Fill(bytes);
  uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return static_cast<double>(number >> 11) * 0x1p-53;
}

absl::Duration Backoff::Next() {
  const absl::Duration wait = bound_ * Share();
  bound_ = std::min(bound_ * options_.factor, options_.max);
  return wait;
}

absl::Duration Backoff::NextAfter(const absl::Status& status) {
  const absl::Duration wait = Next();
  const std::optional<absl::Duration> asked = RetryDelayOf(status);
  if (!asked.has_value()) return wait;
  return *asked + std::max(wait, *asked * Share());
}

void Backoff::Reset() { bound_ = std::min(options_.initial, options_.max); }

}  // namespace keystead
