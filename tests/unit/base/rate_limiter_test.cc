#include "core/base/rate_limiter.h"

#include <gtest/gtest.h>

namespace keystead {
namespace {

TEST(RateLimiterTest, SaysHowLongItIsUntilTheNext) {
  ManualClock clock;
  RateLimiter rate({.per_second = 2, .burst = 1}, &clock);
  EXPECT_EQ(rate.TakeOrWait("a"), absl::ZeroDuration());
  EXPECT_EQ(rate.TakeOrWait("a"), absl::Milliseconds(500));
  EXPECT_EQ(rate.TakeOrWait("b"), absl::ZeroDuration()) << "each name its own";
  clock.Advance(absl::Milliseconds(200));
  EXPECT_EQ(rate.TakeOrWait("a"), absl::Milliseconds(300)) << "asking costs nothing";
  clock.Advance(absl::Milliseconds(300));
  EXPECT_TRUE(rate.Take("a"));
  EXPECT_FALSE(rate.Take("a"));
}

TEST(RateLimiterTest, WhatNeverComesIsInfinite) {
  ManualClock clock;
  RateLimiter none({.per_second = 0, .burst = 1}, &clock);
  EXPECT_TRUE(none.Take("a"));
  EXPECT_EQ(none.TakeOrWait("a"), absl::InfiniteDuration());
  RateLimiter nothing({.per_second = 5, .burst = 0.5}, &clock);
  EXPECT_EQ(nothing.TakeOrWait("a"), absl::InfiniteDuration());
}

}  // namespace
}  // namespace keystead
