#include "tests/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/load/arrivals.h"

namespace keystead::load {
namespace {

constexpr double kQuantiles[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};

// By definition: the value at that rank of all values in order, as far as a bucket can tell.
uint64_t FromSorted(const std::vector<uint64_t>& sorted, double q) {
  const double wanted = std::ceil(q * static_cast<double>(sorted.size()));
  const size_t rank = std::clamp<size_t>(static_cast<size_t>(wanted), 1, sorted.size());
  return std::min(Histogram::HighestEquivalent(sorted[rank - 1]), sorted.back());
}

std::vector<uint64_t> Spread(uint64_t seed, size_t count) {
  SmallRandom random(seed);
  std::vector<uint64_t> out;
  for (size_t i = 0; i < count; ++i) out.push_back(random.Next() >> (28 + random.Next() % 36));
  return out;
}

TEST(HistogramTest, QuantilesAreThoseOfTheSortedSamples) {
  for (const uint64_t seed : {1, 2, 3}) {
    for (const size_t count : {1, 2, 99, 100, 101, 10'000}) {
      std::vector<uint64_t> samples = Spread(seed, count);
      Histogram histogram;
      for (const uint64_t sample : samples) histogram.Record(sample);
      std::sort(samples.begin(), samples.end());
      for (const double q : kQuantiles)
        EXPECT_EQ(histogram.Quantile(q), FromSorted(samples, q)) << seed << " " << count << " " << q;
      EXPECT_EQ(histogram.max(), samples.back());
      EXPECT_EQ(histogram.min(), samples.front());
      EXPECT_EQ(histogram.count(), count);
    }
  }
}

TEST(HistogramTest, SmallValuesAreExactAndLargeOnesToThreeDigits) {
  for (uint64_t value = 0; value < 2048; ++value) EXPECT_EQ(Histogram::HighestEquivalent(value), value);
  for (uint64_t value = 2048; value < Histogram::kMaxValue / 3; value += value / 7 + 1) {
    const uint64_t upper = Histogram::HighestEquivalent(value);
    EXPECT_GE(upper, value);
    EXPECT_LE(upper - value, value / 1024) << value;
    EXPECT_EQ(Histogram::HighestEquivalent(upper), upper);
    EXPECT_GT(Histogram::HighestEquivalent(upper + 1), upper) << "the next bucket begins right behind";
  }
}

TEST(HistogramTest, MergingIsRecordingEverythingInOne) {
  const std::vector<uint64_t> samples = Spread(7, 5000);
  Histogram whole;
  Histogram parts[3];
  for (size_t i = 0; i < samples.size(); ++i) {
    whole.Record(samples[i]);
    parts[i % 3].Record(samples[i]);
  }
  Histogram merged;
  for (const Histogram& part : parts) merged.Merge(part);
  merged.Merge(Histogram());
  for (const double q : kQuantiles) EXPECT_EQ(merged.Quantile(q), whole.Quantile(q));
  EXPECT_EQ(merged.count(), whole.count());
  EXPECT_EQ(merged.min(), whole.min());
  EXPECT_EQ(merged.max(), whole.max());
  EXPECT_DOUBLE_EQ(merged.Mean(), whole.Mean());
}

TEST(HistogramTest, BucketsHoldEverything) {
  const std::vector<uint64_t> samples = Spread(9, 3000);
  Histogram histogram;
  for (const uint64_t sample : samples) histogram.Record(sample);
  uint64_t total = 0;
  uint64_t last = 0;
  for (const Histogram::Bucket& bucket : histogram.Buckets()) {
    EXPECT_TRUE(total == 0 || bucket.upper > last);
    EXPECT_EQ(bucket.count,
              static_cast<uint64_t>(std::count_if(samples.begin(), samples.end(), [&](uint64_t sample) {
                return Histogram::HighestEquivalent(sample) == bucket.upper;
              })));
    last = bucket.upper;
    total += bucket.count;
  }
  EXPECT_EQ(total, samples.size());
}

TEST(HistogramTest, ManyOfOneValueCountAsMany) {
  Histogram histogram;
  histogram.Record(10, 99);
  histogram.Record(20, 1);
  histogram.Record(30, 0);
  EXPECT_EQ(histogram.count(), 100u);
  EXPECT_EQ(histogram.Quantile(0.99), 10u);
  EXPECT_EQ(histogram.Quantile(0.991), 20u);
  EXPECT_DOUBLE_EQ(histogram.Mean(), 10.1);
}

TEST(HistogramTest, WhatIsTooLargeCountsAsTheLargest) {
  Histogram histogram;
  histogram.Record(UINT64_MAX);
  EXPECT_EQ(histogram.max(), Histogram::kMaxValue);
  EXPECT_EQ(histogram.Quantile(1), Histogram::kMaxValue);
}

TEST(HistogramTest, EmptySaysZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.99), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.Mean(), 0);
  EXPECT_TRUE(histogram.Buckets().empty());
}

}  // namespace
}  // namespace keystead::load
