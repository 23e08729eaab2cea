#include "core/transport/backoff.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace keystead {

Backoff::Backoff(const BackoffOptions& options, RandomSource* random)
    : options_(options), random_(random), bound_(std::min(options.initial, options.max)) {}

absl::Duration Backoff::Next() {
  std::array<uint8_t, 8> bytes{};
  random_->Fill(bytes);
  uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  const double share = static_cast<double>(number >> 11) * 0x1p-53;  // [0, 1)
  const absl::Duration wait = bound_ * share;
  bound_ = std::min(bound_ * options_.factor, options_.max);
  return wait;
}

void Backoff::Reset() { bound_ = std::min(options_.initial, options_.max); }

}  // namespace keystead
