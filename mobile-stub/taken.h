// When a reading was taken, as its sender says. Both parts are the sender's and may be anything, so the sum
// stays within its type instead of overflowing.
#pragma once

#include <cstdint>
#include <limits>

#include "keystead/v1/readings.pb.h"

namespace keystead::mobile {

inline int64_t SaturatingAdd(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

inline int64_t SaturatingSubtract(int64_t a, int64_t b) {
  int64_t difference = 0;
  if (!__builtin_sub_overflow(a, b, &difference)) return difference;
  return a < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

// Microseconds since 1970, by the sender's clock: shown, not trusted.
inline int64_t TakenUnixMicros(const v1::ReadingBatch& batch, const v1::Reading& reading) {
  return SaturatingAdd(batch.taken_unix_us(), reading.taken_delta_us());
}

}  // namespace keystead::mobile
