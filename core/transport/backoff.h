// How long to wait before trying again: exponential with full jitter, so that ten thousand devices that lost
// the same hop do not come back together.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
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
  // The same after `status`: not before what the hop asked for (RetryDelayOf), and then spread over as long
  // again.
  absl::Duration NextAfter(const absl::Status& status);
  void Reset();  // after a success
  absl::Duration bound() const { return bound_; }

 private:
  double Share();  // uniform in [0, 1)

  const BackoffOptions options_;
  RandomSource* const random_;
  absl::Duration bound_;
};

}  // namespace keystead
