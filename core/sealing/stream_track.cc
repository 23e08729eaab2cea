#include "core/sealing/stream_track.h"

#include <algorithm>
#include <bit>

#include "core/sealing/stream_writer.h"

namespace keystead {
namespace {

constexpr uint64_t kWindow = 2 * limits::kReplayWindowRecords;  // half behind the frontier, half ahead
constexpr size_t kMaxOpenRecords = 1 << 14;     // without a checkpoint; what is beyond stays pending
constexpr size_t kMaxWaitingRecords = 1 << 15;  // in all waiting segments; beyond it the oldest stay pending
constexpr size_t kMaxWaitingSegments = 1024;
constexpr size_t kMaxVariantPlaces = 256;
constexpr size_t kMaxSearchHashes = 1 << 14;  // for one look at a segment with conflicts

}  // namespace

// Finds which of several records at some places the sender's hash is over. The number of combinations doubles
// with every conflict, so the work is limited: beyond it the segment stays unconfirmed, and the conflicts
// have been reported.
class StreamTrack::ChainSearch {
 public:
  ChainSearch(const Segment& segment, const std::map<uint64_t, std::vector<Digest>>& variants)
      : segment_(segment), variants_(variants) {}

  bool Run() { return From(0, segment_.from); }
  const std::vector<Swap>& swaps() const { return swaps_; }

 private:
  bool From(size_t at, Digest h) {
    for (; at < segment_.records.size(); ++at) {
      const auto others = variants_.find(segment_.first + at);
      if (others != variants_.end()) return Branch(at, h, others->second);
      if (!Step(h, *segment_.records[at])) return false;
    }
    return h == segment_.to;
  }
  bool Branch(size_t at, const Digest& h, const std::vector<Digest>& others) {
    Digest next = h;
    if (!Step(next, *segment_.records[at])) return false;
    if (From(at + 1, next)) return true;
    for (const Digest& other : others) {
      next = h;
      if (!Step(next, other)) return false;
      swaps_.push_back({segment_.first + at, other});
      if (From(at + 1, next)) return true;
      swaps_.pop_back();
    }
    return false;
  }
  bool Step(Digest& h, const Digest& record) {
    // Without conflicts there is one pass and no limit on it.
    if (!variants_.empty() && ++hashes_ > kMaxSearchHashes + segment_.records.size()) return false;
    h = NextRunningHash(h, record);
    return true;
  }

  const Segment& segment_;
  const std::map<uint64_t, std::vector<Digest>>& variants_;
  std::vector<Swap> swaps_;
  size_t hashes_ = 0;
};

const StreamTrack::Slot* StreamTrack::FindSlot(uint64_t sequence) const {
  const size_t at = static_cast<size_t>(sequence % kWindow);
  if (at >= window_.size() || !window_[at].used || window_[at].sequence != sequence) return nullptr;
  return &window_[at];
}

void StreamTrack::SetSlot(uint64_t sequence, const Digest& record, bool replace) {
  const size_t at = static_cast<size_t>(sequence % kWindow);
  if (at >= window_.size()) window_.resize(std::bit_ceil(std::max<size_t>(at + 1, 8)));
  Slot& slot = window_[at];
  // A late filler of an old gap must not push out what the window still needs.
  if (slot.used && slot.sequence > sequence) return;
  if (replace && slot.sequence != sequence) return;
  slot = {sequence, record, true};
}

StreamTrack::Arrival StreamTrack::Classify(uint64_t sequence, const Digest& record) const {
  if (sequence >= frontier_ + limits::kReplayWindowRecords) return Arrival::kTooFarAhead;
  if (const Slot* slot = FindSlot(sequence); slot != nullptr) {
    if (slot->digest == record) return Arrival::kDuplicate;
    const auto other = variants_.find(sequence);
    if (other != variants_.end() && std::ranges::find(other->second, record) != other->second.end()) {
      return Arrival::kDuplicate;
    }
    return Arrival::kConflict;
  }
  if (sequence >= frontier_) return Arrival::kNew;
  const auto after = missing_.upper_bound(sequence);
  const bool is_missing = after != missing_.begin() && std::prev(after)->second >= sequence;
  return is_missing ? Arrival::kNew : Arrival::kOld;
}

StreamTrack::Outcome StreamTrack::Note(uint64_t sequence, const Digest& record) {
  Outcome outcome;
  SetSlot(sequence, record, false);
  end_ = std::max(end_, sequence + 1);
  ++received_;
  if (sequence < frontier_) EraseMissing(sequence);
  SetInSegment(sequence, record, outcome);
  return outcome;
}

std::deque<StreamTrack::Segment>::iterator StreamTrack::WaitingAt(uint64_t sequence) {
  return std::ranges::find_if(waiting_,
                              [&](const Segment& s) { return sequence >= s.first && sequence < s.end(); });
}

bool StreamTrack::NoteVariant(uint64_t sequence, const Digest& record, Outcome& outcome) {
  const auto waiting = WaitingAt(sequence);
  if (sequence < base_ && waiting == waiting_.end()) return false;
  if (variants_.size() >= kMaxVariantPlaces && !variants_.contains(sequence)) return false;
  std::vector<Digest>& others = variants_[sequence];
  if (others.size() + 1 >= limits::kMaxVariantsPerSequence) return false;
  others.push_back(record);
  if (waiting != waiting_.end() && Settle(*waiting, outcome)) {
    waiting_records_ -= waiting->records.size();
    waiting_.erase(waiting);
  }
  return true;
}

void StreamTrack::SetInSegment(uint64_t sequence, const Digest& record, Outcome& outcome) {
  if (sequence >= base_) {
    const uint64_t at = sequence - base_;
    if (at >= kMaxOpenRecords) return;
    if (open_.size() <= at) open_.resize(static_cast<size_t>(at) + 1);
    open_[static_cast<size_t>(at)] = record;
    return;
  }
  const auto segment = WaitingAt(sequence);
  if (segment == waiting_.end()) return;
  segment->records[static_cast<size_t>(sequence - segment->first)] = record;
  if (Settle(*segment, outcome)) {
    waiting_records_ -= segment->records.size();
    waiting_.erase(segment);
  }
}

bool StreamTrack::Settle(Segment& segment, Outcome& outcome) {
  if (!std::ranges::all_of(segment.records, [](const auto& r) { return r.has_value(); })) return false;
  ChainSearch search(segment, variants_);
  if (search.Run()) {
    Confirm(segment, search.swaps(), outcome);
    return true;
  }
  if (!segment.broken) outcome.broken = true;
  segment.broken = true;
  return false;
}

void StreamTrack::Confirm(const Segment& segment, const std::vector<Swap>& swaps, Outcome& outcome) {
  uint64_t first = segment.first;
  const auto confirm_up_to = [&](uint64_t end) {
    if (first < end) outcome.confirmed.push_back({first, end - 1});
  };
  for (const Swap& swap : swaps) {
    confirm_up_to(swap.sequence);
    first = swap.sequence + 1;
    SetSlot(swap.sequence, swap.record, true);
    outcome.swapped.push_back(swap);
  }
  confirm_up_to(segment.end());
  confirmed_count_ += segment.records.size();
  variants_.erase(variants_.lower_bound(segment.first), variants_.lower_bound(segment.end()));
}

void StreamTrack::Wait(Segment segment) {
  waiting_records_ += segment.records.size();
  waiting_.push_back(std::move(segment));
  while (waiting_.size() > kMaxWaitingSegments || waiting_records_ > kMaxWaitingRecords) {
    waiting_records_ -= waiting_.front().records.size();
    waiting_.pop_front();
  }
}

// An earlier checkpoint that came late divides the segment of a later one.
void StreamTrack::SplitWaiting(uint64_t count, const Digest& hash, Outcome& outcome) {
  const auto whole = WaitingAt(count);
  if (whole == waiting_.end() || whole->first == count || whole->broken) return;
  Segment before{whole->first, whole->from, hash, {}};
  const auto cut = whole->records.begin() + static_cast<ptrdiff_t>(count - whole->first);
  before.records.assign(whole->records.begin(), cut);
  whole->records.erase(whole->records.begin(), cut);
  waiting_records_ -= before.records.size();
  whole->first = count;
  whole->from = hash;
  if (Settle(*whole, outcome)) {
    waiting_records_ -= whole->records.size();
    waiting_.erase(whole);
  }
  if (!Settle(before, outcome)) Wait(std::move(before));
}

StreamTrack::Outcome StreamTrack::NoteCheckpoint(uint64_t count, const Digest& hash) {
  Outcome outcome;
  if (count == base_) {
    outcome.broken = hash != base_hash_;
    return outcome;
  }
  if (count < base_) {
    SplitWaiting(count, hash, outcome);
    return outcome;
  }
  Segment segment{base_, base_hash_, hash, {}};
  const uint64_t length = count - base_;
  const size_t have = static_cast<size_t>(std::min<uint64_t>(length, open_.size()));
  const auto cut = open_.begin() + static_cast<ptrdiff_t>(have);
  if (length <= kMaxOpenRecords) {
    segment.records.assign(open_.begin(), cut);
    segment.records.resize(static_cast<size_t>(length));
    if (!Settle(segment, outcome)) Wait(std::move(segment));
  }
  open_.erase(open_.begin(), cut);
  base_ = count;
  base_hash_ = hash;
  return outcome;
}

void StreamTrack::AdvanceTo(uint64_t frontier) { frontier_ = std::max(frontier_, frontier); }

// The oldest gap is forgotten first: it was reported when it was declared, and what comes for it is then old.
void StreamTrack::BoundMissing() {
  while (missing_.size() > limits::kMaxGapsPerStream) missing_.erase(missing_.begin());
}

void StreamTrack::DeclareMissing(uint64_t up_to) {
  if (up_to <= frontier_) return;
  missing_[frontier_] = up_to - 1;
  frontier_ = up_to;
  BoundMissing();
}

void StreamTrack::EraseMissing(uint64_t sequence) {
  auto after = missing_.upper_bound(sequence);
  if (after == missing_.begin()) return;
  const auto gap = std::prev(after);
  const uint64_t first = gap->first;
  const uint64_t last = gap->second;
  if (last < sequence) return;
  missing_.erase(gap);
  if (first < sequence) missing_[first] = sequence - 1;
  if (last > sequence) missing_[sequence + 1] = last;
  BoundMissing();
}

std::vector<SequenceRange> StreamTrack::missing() const {
  std::vector<SequenceRange> out;
  for (const auto& [first, last] : missing_) {
    if (!out.empty() && out.back().last + 1 == first) {
      out.back().last = last;
    } else {
      out.push_back({first, last});
    }
  }
  return out;
}

bool StreamTrack::Complete(uint64_t count) const {
  return frontier_ >= count && base_ >= count && missing_.empty() && waiting_.empty();
}

}  // namespace keystead
