// Bodies of records of kinds "readings" and "report": keystead.v1.ReadingBatch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/base/random.h"
#include "device-sim/signals/signal.h"

namespace keystead::v1 {
class ReadingBatch;
}

namespace keystead::device_sim {

// At most limits::kMaxReadingsPerBatch samples. Times are relative to the first sample's.
std::string EncodeReadings(std::span<const Sample> samples);

// When the record-th of an open loop was due: a loop that is held up must not hide how long. Without a rate
// there is nothing to be late for, and it is now.
absl::Time TakenAt(absl::Time started, double rate, uint64_t record, absl::Time now);

// Batches of opaque readings of one size, for measurements. Not thread-safe.
class LoadBatch {
 public:
  LoadBatch(size_t readings, size_t reading_bytes, RandomSource& random);
  ~LoadBatch();
  // Valid until the next call. The readings count on: Reading.value is the number of each.
  const std::string& Encode(absl::Time taken);

 private:
  const std::unique_ptr<v1::ReadingBatch> batch_;
  std::string encoded_;
  double next_ = 0;
};

}  // namespace keystead::device_sim
