#include "core/observe/latency_histogram.h"

#include <algorithm>
#include <ctime>
#include <numeric>

namespace keystead {
namespace {

std::atomic<bool> metrics_wanted = false;

constexpr double kNanosecondsPerSecond = 1e9;

int64_t MonotonicNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

constexpr auto kBoundsNanoseconds = [] {
  std::array<int64_t, LatencyHistogram::kBoundsSeconds.size()> out{};
  std::ranges::transform(LatencyHistogram::kBoundsSeconds, out.begin(), [](double seconds) {
    return static_cast<int64_t>(seconds * kNanosecondsPerSecond + 0.5);
  });
  return out;
}();

}  // namespace

bool MetricsWanted() { return metrics_wanted.load(std::memory_order_relaxed); }
void SetMetricsWanted(bool wanted) { metrics_wanted.store(wanted, std::memory_order_relaxed); }

void LatencyHistogram::Observe(absl::Duration took) {
  const int64_t ns = std::max<int64_t>(absl::ToInt64Nanoseconds(took), 0);
  const auto bucket = std::ranges::lower_bound(kBoundsNanoseconds, ns) - kBoundsNanoseconds.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(ns, std::memory_order_relaxed);
}

LatencyHistogram::Snapshot LatencyHistogram::Read() const {
  Snapshot out;
  for (size_t i = 0; i < counts_.size(); ++i) out.counts[i] = counts_[i].load(std::memory_order_relaxed);
  out.sum_seconds = static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) / kNanosecondsPerSecond;
  return out;
}

LatencyHistogram::Snapshot& LatencyHistogram::Snapshot::operator+=(const Snapshot& other) {
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  sum_seconds += other.sum_seconds;
  return *this;
}

uint64_t LatencyHistogram::Snapshot::count() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

Stopwatch Stopwatch::Start() { return MetricsWanted() ? Stopwatch(MonotonicNanoseconds()) : Stopwatch(); }

absl::Duration Stopwatch::Elapsed() const {
  return running() ? absl::Nanoseconds(MonotonicNanoseconds() - since_ns_) : absl::ZeroDuration();
}

}  // namespace keystead
