#include "mobile-stub/throughput.h"

#include <algorithm>

#include "mobile-stub/taken.h"

namespace keystead::mobile {

uint64_t LatencyHistogram::UpperEnd(size_t index) {
  if (index < (size_t{1} << kSubBits)) return index;
  const size_t shift = (index >> kSubBits) - 1;
  const uint64_t mantissa = (index & ((size_t{1} << kSubBits) - 1)) + (uint64_t{1} << kSubBits);
  return ((mantissa + 1) << shift) - 1;
}

uint64_t LatencyHistogram::Quantile(double q) const {
  if (count_ == 0) return 0;
  const auto rank = static_cast<uint64_t>(q * static_cast<double>(count_ - 1)) + 1;
  uint64_t below = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    below += buckets_[i];
    if (below >= rank) return std::min(UpperEnd(i), max_);
  }
  return max_;
}

void Throughput::OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool) {
  const int64_t now = absl::ToUnixMicros(clock_->Now());
  const absl::Duration uptime = clock_->Uptime();
  if (!begun_.has_value()) begun_ = uptime;
  if (uptime - *begun_ < warm_up_) return;
  last_ = uptime;
  if (summary_.records == 0) first_ = last_;
  ++summary_.records;
  summary_.readings += static_cast<uint64_t>(batch.readings_size());
  summary_.plaintext_bytes += record.body.size();
  for (const v1::Reading& reading : batch.readings()) {
    latency_.Add(SaturatingSubtract(now, TakenUnixMicros(batch, reading)));
  }
}

void Throughput::OnConfirmed(const StreamPlace&, const SequenceRange& range) {
  summary_.confirmed_records += range.last - range.first + 1;
}
void Throughput::OnMissing(const StreamPlace&, const SequenceRange& range) {
  summary_.missing_records += range.last - range.first + 1;
}
void Throughput::OnDuplicate(const StreamPlace&, uint64_t) { ++summary_.duplicates; }
void Throughput::OnAlarm(const SecurityEvent&) { ++summary_.alarms; }

Throughput::Summary Throughput::summary() const {
  Summary out = summary_;
  out.span = last_ - first_;
  return out;
}

}  // namespace keystead::mobile
