#include "mobile-stub/throughput.h"

#include <gtest/gtest.h>

namespace keystead::mobile {
namespace {

TEST(LatencyHistogramTest, QuantilesAreWithinABucketOfTheTruth) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), 0u);
  for (int64_t us = 1; us <= 100'000; ++us) histogram.Add(us);
  for (const double q : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const double truth = q * 100'000;
    const auto told = static_cast<double>(histogram.Quantile(q));
    EXPECT_GE(told, truth * 0.98) << q;
    EXPECT_LE(told, truth * 1.02) << q;
  }
  EXPECT_EQ(histogram.max(), 100'000u);
  EXPECT_EQ(histogram.count(), 100'000u);
}

TEST(LatencyHistogramTest, TakesEveryValue) {
  LatencyHistogram histogram;
  histogram.Add(INT64_MAX);
  histogram.Add(-5);
  histogram.Add(0);
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_EQ(histogram.Quantile(0), 0u);
  EXPECT_EQ(histogram.Quantile(1), static_cast<uint64_t>(INT64_MAX));
}

TEST(ThroughputTest, CountsReadingsAndHowOldTheyWere) {
  ManualClock clock;
  Throughput throughput(&clock);
  v1::ReadingBatch batch;
  batch.set_taken_unix_us(absl::ToUnixMicros(clock.Now()));
  batch.add_readings();
  batch.add_readings()->set_taken_delta_us(1000);
  clock.Advance(absl::Milliseconds(5));
  ReadRecord record;
  throughput.OnReadings(record, batch, true);
  clock.Advance(absl::Seconds(2));
  throughput.OnReadings(record, batch, true);
  throughput.OnMissing({}, {3, 5});
  throughput.OnDuplicate({}, 1);
  const Throughput::Summary s = throughput.summary();
  EXPECT_EQ(s.records, 2u);
  EXPECT_EQ(s.readings, 4u);
  EXPECT_EQ(s.missing_records, 3u);
  EXPECT_EQ(s.duplicates, 1u);
  EXPECT_EQ(s.span, absl::Seconds(2));
  EXPECT_LE(throughput.latency().Quantile(0), 4100u);
  EXPECT_GE(throughput.latency().Quantile(0), 4000u);
}

TEST(ThroughputTest, WhatComesWhileWarmingUpIsNotCounted) {
  ManualClock clock;
  Throughput throughput(&clock, absl::Seconds(1));
  v1::ReadingBatch batch;
  batch.add_readings();
  const ReadRecord record;
  for (int i = 0; i < 4; ++i) {
    throughput.OnReadings(record, batch, true);  // at 0, 0.6, 1.2 and 1.8 s
    clock.Advance(absl::Milliseconds(600));
  }
  EXPECT_EQ(throughput.summary().readings, 2u);
  EXPECT_EQ(throughput.summary().span, absl::Milliseconds(600));
  EXPECT_EQ(throughput.latency().count(), 2u);
}

}  // namespace
}  // namespace keystead::mobile
