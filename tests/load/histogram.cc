#include "tests/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace keystead::load {
namespace {

constexpr int kLinearBits = 11;  // values below 2^11 have a bucket each
constexpr uint64_t kLinear = uint64_t{1} << kLinearBits;
constexpr uint64_t kHalf = kLinear / 2;  // buckets of each doubling above

size_t IndexOf(uint64_t value) {
  if (value < kLinear) return value;
  const int shift = static_cast<int>(std::bit_width(value)) - kLinearBits;
  return kLinear + static_cast<uint64_t>(shift - 1) * kHalf + (value >> shift) - kHalf;
}

uint64_t UpperOf(size_t index) {
  if (index < kLinear) return index;
  const uint64_t above = index - kLinear;
  const uint64_t shift = above / kHalf + 1;
  return ((above % kHalf + kHalf + 1) << shift) - 1;
}

}  // namespace

uint64_t Histogram::HighestEquivalent(uint64_t value) { return UpperOf(IndexOf(std::min(value, kMaxValue))); }

void Histogram::Record(uint64_t value, uint64_t times) {
  if (times == 0) return;
  value = std::min(value, kMaxValue);
  const size_t index = IndexOf(value);
  if (index >= counts_.size()) counts_.resize(std::max<size_t>(index + 1, kLinear));
  counts_[index] += times;
  count_ += times;
  max_ = std::max(max_, value);
  min_ = std::min(min_, value);
  sum_ += static_cast<double>(value) * static_cast<double>(times);
}

void Histogram::Merge(const Histogram& other) {
  if (other.counts_.size() > counts_.size()) counts_.resize(other.counts_.size());
  for (size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  min_ = std::min(min_, other.min_);
  sum_ += other.sum_;
}

double Histogram::Mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

uint64_t Histogram::Quantile(double q) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(wanted), 1, count_);
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(UpperOf(i), max_);
  }
  return max_;
}

std::vector<Histogram::Bucket> Histogram::Buckets() const {
  std::vector<Bucket> out;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) out.push_back({UpperOf(i), counts_[i]});
  }
  return out;
}

}  // namespace keystead::load
