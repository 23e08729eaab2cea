// One token bucket whose owner may go into debt: what is asked for at once may be more than the bucket ever
// holds.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace keystead {

// Not thread-safe. `now` never goes back (Clock::Uptime).
class TokenBucket {
 public:
  // `per_second` 0: everything is allowed. `burst` 0: one second of the rate. Changes what is in it only so
  // far as it must.
  void Configure(double per_second, double burst, absl::Duration now) {
    Fill(now);
    const bool was_off = per_second_ <= 0;
    per_second_ = per_second;
    burst_ = burst > 0 ? burst : per_second;
    tokens_ = was_off ? burst_ : std::min(tokens_, burst_);
  }
  // Zero: there is a whole token, and `Take` may be called. Otherwise how long until there is.
  absl::Duration Wait(absl::Duration now) {
    Fill(now);
    const double needed = std::min(1.0, burst_);
    if (per_second_ <= 0 || tokens_ >= needed) return absl::ZeroDuration();
    return absl::Seconds(std::max((needed - tokens_) / per_second_, kShortest));
  }
  void Take(double amount) {
    if (per_second_ > 0) tokens_ -= amount;
  }
  // What was taken for something that then was not done.
  void GiveBack(double amount) {
    if (per_second_ > 0) tokens_ = std::min(burst_, tokens_ + amount);
  }

 private:
  static constexpr double kShortest = 0.001;
  void Fill(absl::Duration now) {
    if (per_second_ > 0 && now > at_)
      tokens_ = std::min(burst_, tokens_ + absl::ToDoubleSeconds(now - at_) * per_second_);
    at_ = std::max(at_, now);
  }

  double per_second_ = 0;
  double burst_ = 0;
  double tokens_ = 0;
  absl::Duration at_ = absl::ZeroDuration();
};

}  // namespace keystead
