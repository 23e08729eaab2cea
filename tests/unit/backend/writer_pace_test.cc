#include "backend/writer_pace.h"

#include <gtest/gtest.h>

namespace keystead::backend {
namespace {

constexpr WriterPace::Options kOptions{
    .most_bytes = 1'000'000, .least_bytes = 10'000, .commit = absl::Milliseconds(4)};

class WriterPaceTest : public ::testing::Test {
 protected:
  // Commits of so many bytes, one after the other, each in that time.
  void Work(size_t bytes, absl::Duration each, int commits) {
    for (int i = 0; i < commits; ++i) {
      pace_.Given(bytes, now_);
      now_ += each;
      pace_.Done(bytes, now_);
    }
  }
  void BothArrive() {
    pace_.Arrived(1, now_);
    pace_.Arrived(2, now_);
  }
  WriterPace pace_{kOptions};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(WriterPaceTest, ATenantAloneHasLongBatches) {
  for (int i = 0; i < 10; ++i) pace_.Arrived(1, now_);
  Work(100'000, absl::Milliseconds(1), 50);
  EXPECT_EQ(pace_.Limit(now_), kOptions.most_bytes);
}

TEST_F(WriterPaceTest, WhereSeveralComeACommitTakesItsTime) {
  Work(100'000, absl::Milliseconds(1), 100);
  BothArrive();
  EXPECT_NEAR(static_cast<double>(pace_.Limit(now_)), 400'000, 4'000);
  Work(100'000, absl::Milliseconds(4), 100);  // the disk has become slower
  BothArrive();
  EXPECT_NEAR(static_cast<double>(pace_.Limit(now_)), 100'000, 4'000);
}

TEST_F(WriterPaceTest, ASecondAfterTheyCameItIsAsBefore) {
  Work(100'000, absl::Milliseconds(1), 100);
  BothArrive();
  EXPECT_EQ(pace_.Limit(now_ + absl::Seconds(1)), kOptions.most_bytes);
}

TEST_F(WriterPaceTest, IsNeverBelowItsLeastNorAboveItsMost) {
  Work(10, absl::Milliseconds(10), 100);
  BothArrive();
  EXPECT_EQ(pace_.Limit(now_), kOptions.least_bytes);
  Work(1'000'000, absl::Microseconds(10), 10'000);
  BothArrive();
  EXPECT_EQ(pace_.Limit(now_), kOptions.most_bytes);
}

TEST_F(WriterPaceTest, TimeInWhichNothingIsThereIsNotCounted) {
  for (int i = 0; i < 200; ++i) {
    Work(100'000, absl::Milliseconds(1), 1);
    now_ += absl::Milliseconds(99);
  }
  BothArrive();
  EXPECT_NEAR(static_cast<double>(pace_.Limit(now_)), 400'000, 4'000);
}

}  // namespace
}  // namespace keystead::backend
