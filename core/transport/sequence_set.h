// Which sequences of a stream are there: intervals, of which there is one while nothing is missing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace keystead {

// Value type. Bounded: with more than `max_intervals` the lowest is forgotten. What may have been forgotten
// lies below forgotten_below(): of a sequence there, Contains() says nothing.
class SequenceSet {
 public:
  struct Interval {
    uint64_t first = 0;
    uint64_t end = 0;  // one past the last
    bool operator==(const Interval&) const = default;
  };

  uint64_t end() const { return intervals_.empty() ? 0 : intervals_.back().end; }  // above all that is there
  const auto& intervals() const { return intervals_; }
  uint64_t forgotten_below() const { return forgotten_below_; }
  void ForgetBelow(uint64_t sequence) { forgotten_below_ = std::max(forgotten_below_, sequence); }
  size_t heap_bytes() const { return intervals_.capacity() * sizeof(Interval); }

  bool Contains(uint64_t sequence) const {
    const auto above = FirstEndingAfter(sequence);
    return above != intervals_.end() && above->first <= sequence;
  }

  void Add(uint64_t first, uint64_t end, size_t max_intervals) {
    if (!intervals_.empty() && intervals_.back().end == first) {
      intervals_.back().end = end;
      return;
    }
    // All that touch [first, end) become one.
    auto from = std::lower_bound(intervals_.begin(), intervals_.end(), first,
                                 [](const Interval& i, uint64_t value) { return i.end < value; });
    auto to = from;
    while (to != intervals_.end() && to->first <= end) {
      first = std::min(first, to->first);
      end = std::max(end, to->end);
      ++to;
    }
    if (from == to) {
      intervals_.insert(from, Interval{first, end});
    } else {
      *from = Interval{first, end};
      intervals_.erase(from + 1, to);
    }
    if (intervals_.size() > max_intervals) {
      ForgetBelow(intervals_.front().end);
      intervals_.erase(intervals_.begin());
    }
  }

 private:
  std::vector<Interval>::const_iterator FirstEndingAfter(uint64_t sequence) const {
    return std::upper_bound(intervals_.begin(), intervals_.end(), sequence,
                            [](uint64_t value, const Interval& i) { return value < i.end; });
  }

  std::vector<Interval> intervals_;
  uint64_t forgotten_below_ = 0;
};

}  // namespace keystead
