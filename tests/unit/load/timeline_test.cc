#include "tests/load/timeline.h"

#include <gtest/gtest.h>

namespace keystead::load {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStart = 100 * kSecond;

TEST(TimelineTest, EveryMomentBelongsToOnePhase) {
  const Timeline timeline = Timeline::Of(kStart, {1, 2, 3, 0.5});
  EXPECT_FALSE(timeline.At(kStart - 1).has_value());
  EXPECT_EQ(timeline.At(kStart), Phase::kWarmUp);
  EXPECT_EQ(timeline.At(kStart + kSecond - 1), Phase::kWarmUp);
  EXPECT_EQ(timeline.At(kStart + kSecond), Phase::kAlone);
  EXPECT_EQ(timeline.At(kStart + 3 * kSecond), Phase::kNeighbour);
  EXPECT_EQ(timeline.At(kStart + 6 * kSecond), Phase::kRecovery);
  EXPECT_FALSE(timeline.At(kStart + 6 * kSecond + kSecond / 2).has_value());
  EXPECT_EQ(timeline.SecondsOf(Phase::kNeighbour), 3);
}

TEST(TimelineTest, APhaseOfNoLengthIsNeverThere) {
  const Timeline timeline = Timeline::Of(kStart, {0, 1, 0, 1});
  EXPECT_EQ(timeline.At(kStart), Phase::kAlone);
  EXPECT_EQ(timeline.At(kStart + kSecond), Phase::kRecovery);
}

WindowSeries SeriesOf(const std::vector<uint32_t>& tails) {
  WindowSeries out(kStart, kSecond, tails.size());
  for (size_t i = 0; i < tails.size(); ++i) {
    if (tails[i] > 0) out.Record(out.BeginOf(i) + 5, tails[i]);
  }
  return out;
}

TEST(WindowSeriesTest, QuantilesAreExactAndByTheIntendedStart) {
  WindowSeries series(kStart, kSecond, 2);
  for (uint32_t i = 1; i <= 100; ++i) series.Record(kStart + i, 101 - i);
  series.Record(kStart + kSecond, 5000);
  series.Record(kStart - 1, 9999);
  series.Record(kStart + 2 * kSecond, 9999);
  EXPECT_EQ(series.Quantile(0, 0.99), 99u);
  EXPECT_EQ(series.Quantile(0, 0.5), 50u);
  EXPECT_EQ(series.Quantile(0, 1), 100u);
  EXPECT_EQ(series.Quantile(1, 0.99), 5000u);
  EXPECT_EQ(series.Count(0), 100u);
  EXPECT_FALSE(WindowSeries(kStart, kSecond, 1).Quantile(0, 0.5).has_value());
}

TEST(RecoveryTest, IsTheFirstOfTwoGoodWindows) {
  EXPECT_EQ(RecoverySeconds(SeriesOf({9, 9, 9, 1, 9, 1, 1, 9}), kStart + 2 * kSecond, 2), 3.0);
}
TEST(RecoveryTest, IsZeroWhereNobodyNoticed) {
  EXPECT_EQ(RecoverySeconds(SeriesOf({1, 1, 1, 1}), kStart + kSecond, 2), 0.0);
}
TEST(RecoveryTest, HasNoValueWhereItNeverCame) {
  EXPECT_FALSE(RecoverySeconds(SeriesOf({1, 1, 9, 1}), kStart + kSecond, 2).has_value());
  EXPECT_FALSE(RecoverySeconds(SeriesOf({1, 1, 9, 9, 1}), kStart + 2 * kSecond, 2).has_value());
}
TEST(RecoveryTest, TheBoundItselfIsGood) { EXPECT_EQ(RecoverySeconds(SeriesOf({2, 2}), kStart, 2), 0.0); }

TEST(ShareAboveTest, CountsWindowsOfItsTimeOnly) {
  const WindowSeries series = SeriesOf({9, 9, 1, 1, 1, 9});
  EXPECT_EQ(ShareAbove(series, kStart + kSecond, kStart + 5 * kSecond, 2), 0.25);
  EXPECT_EQ(ShareAbove(series, kStart + 9 * kSecond, kStart + 10 * kSecond, 2), 0);
}

}  // namespace
}  // namespace keystead::load
