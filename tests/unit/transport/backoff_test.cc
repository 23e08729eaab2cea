#include "core/transport/backoff.h"

#include <gtest/gtest.h>

#include "core/transport/sequence_set.h"

namespace keystead {
namespace {

TEST(BackoffTest, GrowsToItsBoundAndIsSpreadBelowIt) {
  SeededRandom random(1);
  Backoff backoff({.initial = absl::Milliseconds(100), .max = absl::Seconds(1), .factor = 2}, &random);
  absl::Duration bound = absl::Milliseconds(100);
  absl::Duration sum;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(backoff.bound(), bound);
    const absl::Duration wait = backoff.Next();
    EXPECT_GE(wait, absl::ZeroDuration());
    EXPECT_LT(wait, bound);
    if (bound == absl::Seconds(1)) sum += wait;
    bound = std::min(bound * 2, absl::Seconds(1));
  }
  EXPECT_NEAR(absl::ToDoubleSeconds(sum) / 1000, 0.5, 0.05);
  backoff.Reset();
  EXPECT_EQ(backoff.bound(), absl::Milliseconds(100));
}

TEST(SequenceSetTest, MergesAndForgetsTheLowest) {
  SequenceSet set;
  EXPECT_EQ(set.end(), 0u);
  EXPECT_FALSE(set.Contains(0));
  set.Add(10, 20, 3);
  set.Add(0, 5, 3);
  set.Add(30, 31, 3);
  EXPECT_TRUE(set.Contains(0) && set.Contains(4) && set.Contains(19) && set.Contains(30));
  EXPECT_FALSE(set.Contains(5) || set.Contains(9) || set.Contains(20) || set.Contains(31));
  set.Add(5, 10, 3);
  EXPECT_EQ(set.intervals().size(), 2u);
  set.Add(40, 41, 3);
  set.Add(50, 51, 3);
  EXPECT_EQ(set.intervals().size(), 3u);
  EXPECT_FALSE(set.Contains(0));
  set.Add(0, 100, 3);
  EXPECT_EQ(set.intervals().size(), 1u);
  EXPECT_EQ(set.end(), 100u);
}

}  // namespace
}  // namespace keystead
