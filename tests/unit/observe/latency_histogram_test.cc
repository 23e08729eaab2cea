#include "core/observe/latency_histogram.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace keystead {
namespace {

TEST(LatencyHistogramTest, ABoundBelongsToItsBucket) {
  for (size_t i = 0; i < LatencyHistogram::kBoundsSeconds.size(); ++i) {
    LatencyHistogram histogram;
    const absl::Duration bound = absl::Seconds(LatencyHistogram::kBoundsSeconds[i]);
    histogram.Observe(bound);
    histogram.Observe(bound + absl::Nanoseconds(2));
    const LatencyHistogram::Snapshot read = histogram.Read();
    EXPECT_EQ(read.counts[i], 1u) << bound;
    EXPECT_EQ(read.counts[i + 1], 1u) << bound;
  }
}

TEST(LatencyHistogramTest, WhatIsOutsideOfAllBoundsIsCounted) {
  LatencyHistogram histogram;
  histogram.Observe(absl::Seconds(-1));
  histogram.Observe(absl::ZeroDuration());
  histogram.Observe(absl::Hours(1));
  const LatencyHistogram::Snapshot read = histogram.Read();
  EXPECT_EQ(read.counts.front(), 2u);
  EXPECT_EQ(read.counts.back(), 1u);
  EXPECT_EQ(read.count(), 3u);
  EXPECT_DOUBLE_EQ(read.sum_seconds, 3600.0);
}

TEST(LatencyHistogramTest, NothingIsLostBetweenThreads) {
  LatencyHistogram histogram;
  constexpr int kThreads = 4;
  constexpr int kEach = 10'000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) histogram.Observe(absl::Milliseconds(2));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.Read().count(), uint64_t{kThreads} * kEach);
  EXPECT_NEAR(histogram.Read().sum_seconds, kThreads * kEach * 0.002, 1e-6);
}

TEST(StopwatchTest, NothingIsMeasuredWhileNobodyWantsMetrics) {
  SetMetricsWanted(false);
  LatencyHistogram histogram;
  const Stopwatch off = Stopwatch::Start();
  EXPECT_FALSE(off.running());
  off.ObserveIn(histogram);
  EXPECT_EQ(histogram.Read().count(), 0u);

  SetMetricsWanted(true);
  const Stopwatch on = Stopwatch::Start();
  EXPECT_TRUE(on.running());
  on.ObserveIn(histogram);
  EXPECT_GE(on.Elapsed(), absl::ZeroDuration());
  EXPECT_EQ(histogram.Read().count(), 1u);
  SetMetricsWanted(false);
}

}  // namespace
}  // namespace keystead
