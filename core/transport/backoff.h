// How long to wait before trying again: exponential with full jitter, so that ten thousand devices that lost
// the same hop do not come back together.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "core/base/random.h"

namespace keystead {

struct BackoffOptions {
  absl::Duration initial = absl::Milliseconds(200);  // bound of the first wait
  absl::Duration max = absl::Seconds(30);            // bound of any wait
  double factor = 2.0;
};

// Not thread-safe.
class Backoff {
 public:
  explicit Backoff(const BackoffOptions& options = BackoffOptions(),
                   RandomSource* random = &RandomSource::System());
  // Uniform between zero and the present bound, which then grows.
  absl::Duration Next();
  void Reset();  // after a success
  absl::Duration bound() const { return bound_; }

 private:
  const BackoffOptions options_;
  RandomSource* const random_;
  absl::Duration bound_;
};

}  // namespace keystead
