#include "core/base/token_bucket.h"

#include <gtest/gtest.h>

namespace keystead {
namespace {

constexpr absl::Duration kStart = absl::Seconds(100);

TEST(TokenBucketTest, WithoutARateEverythingIsAllowed) {
  TokenBucket bucket;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(bucket.Wait(kStart), absl::ZeroDuration());
    bucket.Take(1e9);
  }
}

TEST(TokenBucketTest, OneMayGoIntoDebtAndSaysForHowLong) {
  TokenBucket bucket;
  bucket.Configure(10, 5, kStart);
  EXPECT_EQ(bucket.Wait(kStart), absl::ZeroDuration());
  bucket.Take(25);  // 20 more than there is
  EXPECT_EQ(bucket.Wait(kStart), absl::Seconds(2.1));
  EXPECT_EQ(bucket.Wait(kStart + absl::Seconds(1.1)), absl::Seconds(1));
  EXPECT_GT(bucket.Wait(kStart + absl::Seconds(2)), absl::ZeroDuration());  // just empty
  EXPECT_EQ(bucket.Wait(kStart + absl::Seconds(2.2)), absl::ZeroDuration());
}

TEST(TokenBucketTest, NeverHoldsMoreThanItsBurst) {
  TokenBucket bucket;
  bucket.Configure(10, 5, kStart);
  EXPECT_EQ(bucket.Wait(kStart + absl::Hours(1)), absl::ZeroDuration());
  bucket.Take(5);
  EXPECT_GT(bucket.Wait(kStart + absl::Hours(1)), absl::ZeroDuration());
}

TEST(TokenBucketTest, IsFullWhenItSaysNoMoreThanANewOne) {
  TokenBucket bucket;
  EXPECT_TRUE(bucket.IsFull(kStart)) << "without a rate it always is";
  bucket.Configure(10, 5, kStart);
  EXPECT_TRUE(bucket.IsFull(kStart));
  bucket.Take(1);
  EXPECT_FALSE(bucket.IsFull(kStart + absl::Milliseconds(99)));
  EXPECT_TRUE(bucket.IsFull(kStart + absl::Milliseconds(101)));
}

TEST(TokenBucketTest, ANewRateCountsAtOnceAndGivesNothingAway) {
  TokenBucket bucket;
  bucket.Configure(10, 0, kStart);
  bucket.Take(30);
  EXPECT_EQ(bucket.Wait(kStart), absl::Seconds(2.1));
  bucket.Configure(20, 0, kStart);
  EXPECT_EQ(bucket.Wait(kStart), absl::Seconds(1.05));
  bucket.Configure(0, 0, kStart);
  EXPECT_EQ(bucket.Wait(kStart), absl::ZeroDuration());
}

}  // namespace
}  // namespace keystead
