// A histogram of latencies in log-linear buckets, as HdrHistogram has them: exact below 2048, above that
// every value is known to three significant digits (1 in 1024), whatever its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace keystead::load {

// Not thread-safe. Memory grows with the largest value: 8 KiB for each doubling above 2048.
class Histogram {
 public:
  // Larger ones count as this: 19 hours in microseconds.
  static constexpr uint64_t kMaxValue = (uint64_t{1} << 36) - 1;

  void Record(uint64_t value, uint64_t times = 1);
  void Merge(const Histogram& other);  // as if all had been recorded here

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }  // exact; 0 when empty
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  double Mean() const;  // exact

  // The least bucket below which at least a share `q` (0 to 1) of all values lies, shown by its largest
  // value, but never more than max(). 0 when empty.
  uint64_t Quantile(double q) const;

  // Buckets that hold something, in rising order: the largest value of each, and how many.
  struct Bucket {
    uint64_t upper = 0;
    uint64_t count = 0;
  };
  std::vector<Bucket> Buckets() const;

  // The largest value that this class cannot tell from `value`.
  static uint64_t HighestEquivalent(uint64_t value);

 private:
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t max_ = 0;
  uint64_t min_ = UINT64_MAX;
  double sum_ = 0;
};

}  // namespace keystead::load
