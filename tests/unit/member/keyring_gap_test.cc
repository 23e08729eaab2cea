#include "core/member/keyring_gap.h"

#include <gtest/gtest.h>

#include "tests/unit/member/test_owner.h"

namespace keystead::testing {
namespace {

class KeyringGapTest : public ::testing::Test {
 protected:
  KeyringGapTest() {
    owner_.Commit({}, nullptr);
    owner_.Commit({}, nullptr);  // epoch 1
  }
  void Refused(uint64_t epoch) { gap_.Took(KeyringEffect::kRefused, epoch, owner_.member().chain()); }

  ManualClock clock_;
  TestOwner owner_;
  KeyringGap gap_{&clock_};
};

TEST_F(KeyringGapTest, OnlyARefusedRecordOfALaterEpochShowsThatACommitIsMissing) {
  Refused(0);
  Refused(1);
  gap_.Took(KeyringEffect::kProbe, 1, owner_.member().chain());
  gap_.Took(KeyringEffect::kNothing, 2, owner_.member().chain());
  EXPECT_FALSE(gap_.ReadAgain());
  Refused(2);  // the next commit itself came spoilt, perhaps
  EXPECT_TRUE(gap_.ReadAgain());
  EXPECT_FALSE(gap_.ReadAgain());
}

TEST_F(KeyringGapTest, WhoHasNoCommitAtAllMissesTheFirst) {
  gap_.Took(KeyringEffect::kRefused, 0, MembershipChain(TestTenant(), owner_.id()));
  EXPECT_TRUE(gap_.ReadAgain());
}

TEST_F(KeyringGapTest, AHopThatMakesUpEpochsCostsEverLessReading) {
  int readings = 0;
  for (int second = 0; second < 24 * 3600; ++second) {
    Refused(1000);
    if (gap_.ReadAgain()) ++readings;
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_GT(readings, 24 * 6);  // it never gives up
  EXPECT_LT(readings, 24 * 6 + 12);
}

TEST_F(KeyringGapTest, AfterACommitThatWasEnteredTheNextGapIsLookedIntoAtOnce) {
  for (int i = 0; i < 5; ++i) {
    Refused(3);
    clock_.Advance(absl::Hours(1));
    EXPECT_TRUE(gap_.ReadAgain());
  }
  Refused(3);
  EXPECT_FALSE(gap_.ReadAgain());
  gap_.Took(KeyringEffect::kEpoch, 2, owner_.member().chain());
  EXPECT_TRUE(gap_.ReadAgain());  // of what was seen before it
}

}  // namespace
}  // namespace keystead::testing
