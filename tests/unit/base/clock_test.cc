#include "core/base/clock.h"

#include "gtest/gtest.h"

namespace keystead {
namespace {

TEST(ManualClockTest, StandsStillUntilAdvanced) {
  ManualClock clock(absl::FromUnixSeconds(1000));
  const absl::Duration uptime = clock.Uptime();
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(1000));
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(1000));
  EXPECT_EQ(clock.Uptime(), uptime);
  clock.Advance(absl::Milliseconds(1500));
  EXPECT_EQ(clock.Now(), absl::FromUnixMillis(1001500));
  EXPECT_EQ(clock.Uptime(), uptime + absl::Milliseconds(1500));
}

TEST(ManualClockTest, UptimeStartsAboveZeroSoThatZeroCanMeanUnset) {
  EXPECT_GT(ManualClock().Uptime(), absl::ZeroDuration());
}

TEST(SystemClockTest, UptimeNeverRunsBackwards) {
  const Clock& clock = Clock::System();
  absl::Duration last = clock.Uptime();
  EXPECT_GT(last, absl::ZeroDuration());
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration now = clock.Uptime();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(SystemClockTest, WallClockIsTheSystems) {
  const absl::Time before = absl::Now();
  const absl::Time now = Clock::System().Now();
  EXPECT_GE(now, before - absl::Seconds(1));
  EXPECT_LE(now, absl::Now() + absl::Seconds(1));
}

}  // namespace
}  // namespace keystead
