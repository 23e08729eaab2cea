#include "core/sealing/lease.h"

#include <gtest/gtest.h>

namespace keystead {
namespace {

constexpr absl::Duration kBoot = absl::Seconds(3);  // uptime when a boot takes it up

class LeaseTest : public testing::Test {
 protected:
  // What the device does about once a second.
  void Tick(absl::Duration uptime) {
    const std::optional<absl::Duration> due = lease_.DueCharge(uptime);
    if (!due.has_value()) return;
    stored_ = due;
    lease_.MarkCharged(*due);
    ++writes_;
  }
  void Reboot() {
    lease_ = Lease();
    lease_.Resume(stored_, kBoot);
  }
  Lease lease_;
  std::optional<absl::Duration> stored_;
  int writes_ = 0;
};

TEST_F(LeaseTest, SevenDaysOfUptimeAndNotMore) {
  lease_.Hear(kBoot);
  EXPECT_FALSE(lease_.Over(kBoot + kDefaultLease));
  EXPECT_TRUE(lease_.Over(kBoot + kDefaultLease + absl::Milliseconds(1)));
  lease_.Hear(kBoot + kDefaultLease + absl::Hours(1));
  EXPECT_FALSE(lease_.Over(kBoot + kDefaultLease + absl::Hours(2)));
}

TEST_F(LeaseTest, OverUntilTheOwnerIsHeardWhenNothingIsKnown) {
  EXPECT_TRUE(lease_.Over(kBoot));
  Reboot();
  EXPECT_TRUE(lease_.Over(kBoot));
  EXPECT_FALSE(lease_.DueCharge(kBoot).has_value());
  lease_.Hear(kBoot);
  EXPECT_FALSE(lease_.Over(kBoot));
}

TEST_F(LeaseTest, BootsAddUp) {
  lease_.Hear(kBoot);
  Tick(kBoot);
  for (int day = 0; day < 6; ++day) {
    for (int hour = 0; hour < 24; ++hour) Tick(kBoot + absl::Hours(hour));
    Reboot();
    Tick(kBoot);
  }
  EXPECT_FALSE(lease_.Over(kBoot));
  EXPECT_GE(lease_.Silence(kBoot), absl::Hours(6 * 24));
  EXPECT_TRUE(lease_.Over(kBoot + absl::Hours(25)));
}

TEST_F(LeaseTest, APowerCutEveryMinuteGivesNoTimeBack) {
  lease_.Hear(kBoot);
  Tick(kBoot);
  int boots = 0;
  while (!lease_.Over(kBoot) && boots < 1000) {
    Tick(kBoot);  // and then the power is cut
    Reboot();
    ++boots;
  }
  EXPECT_LE(boots, kDefaultLease / kLeaseStep + 1);
}

TEST_F(LeaseTest, IsWrittenOnceAStepAndUntilItIsStored) {
  lease_.Hear(kBoot);
  EXPECT_EQ(lease_.DueCharge(kBoot), kLeaseStep);
  EXPECT_EQ(lease_.DueCharge(kBoot), kLeaseStep) << "it was not stored";
  for (int second = 0; second < 3 * 3600; ++second) Tick(kBoot + absl::Seconds(second));
  EXPECT_EQ(writes_, 3);
  lease_.Hear(kBoot + absl::Hours(3));
  EXPECT_EQ(lease_.DueCharge(kBoot + absl::Hours(3)), kLeaseStep) << "a boot must not find the old one";
}

}  // namespace
}  // namespace keystead
