// How many readings came, and how old they were when they did: for measurements.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "mobile-stub/watch_session.h"

namespace keystead::mobile {

// Counts of durations in microseconds, in buckets at most 1/64 wide relative to their value.
class LatencyHistogram {
 public:
  void Add(int64_t microseconds) {  // negative ones, from clocks that disagree, count as 0
    const uint64_t value = microseconds < 0 ? 0 : static_cast<uint64_t>(microseconds);
    ++buckets_[IndexOf(value)];
    ++count_;
    max_ = value > max_ ? value : max_;
  }
  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  uint64_t Quantile(double q) const;  // upper end of the bucket in which it lies; 0 without values

 private:
  static constexpr int kSubBits = 6;
  static constexpr size_t kBuckets = (64 - kSubBits + 1) << kSubBits;
  static size_t IndexOf(uint64_t value) {
    if (value < (uint64_t{1} << kSubBits)) return value;
    const int shift = 63 - kSubBits - __builtin_clzll(value);
    return (static_cast<size_t>(shift + 1) << kSubBits) + ((value >> shift) - (uint64_t{1} << kSubBits));
  }
  static uint64_t UpperEnd(size_t index);

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

// Not thread-safe: the session calls it one at a time; read it when the session has stopped.
class Throughput final : public WatchObserver {
 public:
  // Batches within `warm_up` of the first are not counted; everything else is.
  explicit Throughput(const Clock* clock, absl::Duration warm_up = absl::ZeroDuration())
      : clock_(clock), warm_up_(warm_up) {}
  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override;
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override;
  void OnDuplicate(const StreamPlace& place, uint64_t sequence) override;
  void OnAlarm(const SecurityEvent& event) override;

  struct Summary {
    uint64_t records = 0;
    uint64_t readings = 0;
    uint64_t plaintext_bytes = 0;  // of batches
    uint64_t confirmed_records = 0;
    uint64_t missing_records = 0;
    uint64_t duplicates = 0;
    uint64_t alarms = 0;
    absl::Duration span;  // from the first batch to the last
  };
  Summary summary() const;
  const LatencyHistogram& latency() const { return latency_; }

 private:
  const Clock* const clock_;
  const absl::Duration warm_up_;
  Summary summary_;
  std::optional<absl::Duration> begun_;  // uptime of the first batch of all
  absl::Duration first_;
  absl::Duration last_;
  LatencyHistogram latency_;
};

}  // namespace keystead::mobile
