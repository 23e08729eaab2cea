// How long something takes, in buckets: once for a commit, a request, a call, never for a reading.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace keystead {

// Whether somebody asked for metrics. Where nobody did, nothing is timed and no clock is read.
bool MetricsWanted();
void SetMetricsWanted(bool wanted);  // before there are threads

// Thread-safe; an observation is two relaxed additions. Lives as long as whoever observes.
class LatencyHistogram {
 public:
  // Inclusive upper bounds of the buckets; above the last, one more. From an fsync of a good disk to what
  // only an outage explains.
  static constexpr std::array<double, 18> kBoundsSeconds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                            0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                                            1,      2.5,     5,      10,    30,     60};

  void Observe(absl::Duration took);

  struct Snapshot {
    std::array<uint64_t, kBoundsSeconds.size() + 1> counts{};  // of each bucket by itself
    double sum_seconds = 0;
    Snapshot& operator+=(const Snapshot& other);
    uint64_t count() const;
  };
  Snapshot Read() const;

 private:
  std::array<std::atomic<uint64_t>, kBoundsSeconds.size() + 1> counts_{};
  std::atomic<int64_t> sum_ns_{0};
};

// Since when; nothing, where nobody asked for metrics. A small value.
class Stopwatch {
 public:
  Stopwatch() = default;  // not running
  static Stopwatch Start();
  bool running() const { return since_ns_ != 0; }
  absl::Duration Elapsed() const;                      // zero when not running
  void ObserveIn(LatencyHistogram& histogram) const {  // nothing when not running
    if (running()) histogram.Observe(Elapsed());
  }

 private:
  explicit Stopwatch(int64_t since_ns) : since_ns_(since_ns) {}
  int64_t since_ns_ = 0;  // CLOCK_MONOTONIC
};

}  // namespace keystead
