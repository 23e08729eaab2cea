#include "core/observe/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "core/observe/process_metrics.h"
#include "core/observe/security_event.h"

namespace keystead {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr Metric kCounter = {
    "example_events_total", "Events of the example.", MetricType::kCounter, {"kind"}};
constexpr Metric kGauge = {"example_queue_bytes", "Bytes that wait.", MetricType::kGauge};
constexpr Metric kTimes = {"example_wait_seconds", "How long they waited.", MetricType::kHistogram};

TEST(MetricsTest, HelpTypeAndValueAreServed) {
  const MetricSource source([](MetricWriter& out) {
    out.Value(kCounter, 3, {"good"});
    out.Value(kGauge, 1'500'000'000'000);
  });
  const std::string text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr("# HELP example_events_total Events of the example.\n"
                              "# TYPE example_events_total counter\n"
                              "example_events_total{kind=\"good\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("example_queue_bytes 1500000000000\n")) << "no digit of a count is lost";
}

TEST(MetricsTest, SourcesOfOneNameAddUp) {
  LatencyHistogram histogram;
  histogram.Observe(absl::Milliseconds(3));
  const auto collect = [&](MetricWriter& out) {
    out.Value(kCounter, 2, {"good"});
    out.Value(kGauge, 5);
    out.Times(kTimes, histogram.Read());
  };
  const MetricSource one(collect);
  const MetricSource other(collect);
  const std::string text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr("example_events_total{kind=\"good\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("example_queue_bytes 10\n"));
  EXPECT_THAT(text, HasSubstr("example_wait_seconds_count 2\n"));
}

TEST(MetricsTest, BucketsOfAHistogramAreCumulative) {
  LatencyHistogram histogram;
  histogram.Observe(absl::Microseconds(50));
  histogram.Observe(absl::Milliseconds(3));
  histogram.Observe(absl::Hours(1));
  const MetricSource source([&](MetricWriter& out) { out.Times(kTimes, histogram.Read()); });
  const std::string text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr("example_wait_seconds_bucket{le=\"0.0001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("example_wait_seconds_bucket{le=\"0.0025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("example_wait_seconds_bucket{le=\"0.005\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("example_wait_seconds_bucket{le=\"60\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("example_wait_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("example_wait_seconds_count 3\n"));
}

TEST(MetricsTest, ALabelValueCannotWriteALineOfItsOwn) {
  const MetricSource source(
      [](MetricWriter& out) { out.Value(kCounter, 1, {"a\"} 9\nforged_total{x=\"\\"}); });
  const std::string text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr("example_events_total{kind=\"a\\\"} 9\\nforged_total{x=\\\"\\\\\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("\nforged_total")));
}

TEST(MetricsTest, WhatIsDeclaredIsThereWithoutAValue) {
  const MetricSource source([](MetricWriter& out) { out.Declare(kGauge); });
  const std::string text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr("# TYPE example_queue_bytes gauge\n"));
  EXPECT_THAT(text, Not(HasSubstr("\nexample_queue_bytes ")));
}

TEST(MetricsTest, TheSeriesOfAMetricAreBoundedAndWhatIsLeftOutIsCounted) {
  const MetricSource source([](MetricWriter& out) {
    for (size_t i = 0; i < kMaxSeriesPerMetric + 7; ++i) out.Value(kCounter, 1, {absl::StrCat("kind-", i)});
  });
  const std::string text = RenderMetrics();
  size_t series = 0;
  for (size_t at = text.find("\nexample_events_total{"); at != std::string::npos;
       at = text.find("\nexample_events_total{", at + 1))
    ++series;
  EXPECT_EQ(series, kMaxSeriesPerMetric);
  EXPECT_THAT(text, HasSubstr("keystead_metrics_left_out_total 7\n"));
}

TEST(MetricsTest, ASourceThatIsGoneIsNotAskedAndItsEndWaitsForTheScrape) {
  absl::Notification asked;
  absl::Notification go_on;
  bool ended = false;
  std::optional<MetricSource> source;
  source.emplace([&](MetricWriter& out) {
    if (!asked.HasBeenNotified()) asked.Notify();
    go_on.WaitForNotification();
    EXPECT_FALSE(ended) << "asked while it ends";
    out.Value(kGauge, 1);
  });
  std::thread scrape([] { EXPECT_THAT(RenderMetrics(), HasSubstr("example_queue_bytes 1\n")); });
  asked.WaitForNotification();
  std::thread end([&] {
    source.reset();
    ended = true;
  });
  go_on.Notify();
  scrape.join();
  end.join();
  EXPECT_THAT(RenderMetrics(), Not(HasSubstr("example_queue_bytes")));
}

// Who makes a source may hold a lock that another source waits for.
TEST(MetricsTest, ASourceComesAndGoesWhileAnotherIsAsked) {
  absl::Mutex state;
  absl::Notification asked;
  const MetricSource slow([&](MetricWriter& out) {
    asked.Notify();
    absl::MutexLock lock(&state);
    out.Value(kGauge, 1);
  });
  std::thread scrape;
  {
    absl::MutexLock lock(&state);
    scrape = std::thread([] { RenderMetrics(); });
    asked.WaitForNotification();
    const MetricSource other([](MetricWriter& out) { out.Declare(kTimes); });
  }
  scrape.join();
}

TEST(ProcessMetricsTest, EveryKindOfSecurityEventIsThereBeforeItHappens) {
  const ProcessMetrics process;
  const std::string before = RenderMetrics();
  for (int kind = 0; kind <= static_cast<int>(kLastSecurityEventKind); ++kind) {
    EXPECT_THAT(before, HasSubstr(absl::StrCat(
                            "keystead_security_events_total{kind=\"",
                            std::string(SecurityEventName(static_cast<SecurityEventKind>(kind))), "\"} ")));
  }
  EXPECT_EQ(SecurityEventName(static_cast<SecurityEventKind>(static_cast<int>(kLastSecurityEventKind) + 1)),
            SecurityEventName(SecurityEventKind::kMalformed))
      << "there is a kind after the last";
  const uint64_t replays = SecurityEventCounts()["replay"];
  Report({.kind = SecurityEventKind::kReplay, .count = 5});
  EXPECT_THAT(RenderMetrics(),
              HasSubstr(absl::StrCat("keystead_security_events_total{kind=\"replay\"} ", replays + 5, "\n")));
}

TEST(ProcessMetricsTest, MemoryFilesAndTimeAreThoseOfThisProcess) {
  const ProcessMetrics process;
  const std::string text = RenderMetrics();
  for (const char* name : {"process_start_time_seconds", "process_cpu_seconds_total",
                           "process_resident_memory_bytes", "process_open_fds", "process_max_fds"}) {
    const size_t at = text.find(absl::StrCat("\n", name, " "));
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_GT(std::stod(text.substr(at + std::string(name).size() + 2)), 0) << name;
  }
}

}  // namespace
}  // namespace keystead
