#include "core/sealing/stream_track.h"

#include <algorithm>

#include "core/sealing/stream_writer.h"

namespace keystead {
namespace {

constexpr size_t kWindow = 2 * limits::kReplayWindowRecords;  // half behind the frontier, half ahead
constexpr size_t kMaxOpenRecords = 1 << 16;  // without a checkpoint; beyond it they stay pending
constexpr size_t kMaxWaitingSegments = 64;
constexpr size_t kMaxVariantPlaces = 256;

}  // namespace

StreamTrack::StreamTrack(const Digest& initial) : window_(kWindow), base_hash_(initial) {}

StreamTrack::Arrival StreamTrack::Classify(uint64_t sequence, const Digest& record) const {
  if (sequence >= frontier_ + limits::kReplayWindowRecords) return Arrival::kTooFarAhead;
  const Slot& slot = SlotOf(sequence);
  if (slot.used && slot.sequence == sequence) {
    if (slot.digest == record) return Arrival::kDuplicate;
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
  Slot& slot = SlotOf(sequence);
  // A late filler of an old gap must not push out what the window still needs.
  if (!slot.used || slot.sequence < sequence) slot = {sequence, record, true};
  end_ = std::max(end_, sequence + 1);
  ++received_;
  if (sequence < frontier_) EraseMissing(sequence);
  SetInSegment(sequence, record, outcome);
  return outcome;
}

bool StreamTrack::NoteVariant(uint64_t sequence, const Digest& record) {
  if (variants_.size() >= kMaxVariantPlaces && !variants_.contains(sequence)) return false;
  std::vector<Digest>& others = variants_[sequence];
  if (others.size() + 1 >= limits::kMaxVariantsPerSequence) return false;
  others.push_back(record);
  return true;
}

void StreamTrack::SetInSegment(uint64_t sequence, const Digest& record, Outcome& outcome) {
  if (sequence >= base_) {
    const size_t at = sequence - base_;
    if (at >= kMaxOpenRecords) return;
    if (open_.size() <= at) open_.resize(at + 1);
    open_[at] = record;
    return;
  }
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (sequence < it->first || sequence >= it->first + it->records.size()) continue;
    it->records[sequence - it->first] = record;
    if (Settle(*it, outcome)) waiting_.erase(it);
    return;
  }
}

bool StreamTrack::Settle(Segment& segment, Outcome& outcome) {
  const auto hash_with = [&](std::optional<uint64_t> swap, const Digest* other) {
    Digest h = segment.from;
    for (size_t i = 0; i < segment.records.size(); ++i) {
      h = NextRunningHash(h, swap == segment.first + i ? *other : *segment.records[i]);
    }
    return h;
  };
  if (!std::ranges::all_of(segment.records, [](const auto& r) { return r.has_value(); })) return false;
  const uint64_t last = segment.first + segment.records.size() - 1;
  bool fits = hash_with(std::nullopt, nullptr) == segment.to;
  for (auto it = variants_.lower_bound(segment.first); !fits && it != variants_.end() && it->first <= last;
       ++it) {
    for (const Digest& other : it->second) {
      if (hash_with(it->first, &other) != segment.to) continue;
      outcome.swapped = it->first;
      fits = true;
      break;
    }
  }
  if (fits) {
    outcome.confirmed.push_back({segment.first, last});
    confirmed_count_ += segment.records.size();
  } else {
    outcome.broken = true;
  }
  return true;
}

StreamTrack::Outcome StreamTrack::NoteCheckpoint(uint64_t count, const Digest& hash) {
  Outcome outcome;
  if (count <= base_) return outcome;  // an older word than one already heard
  Segment segment{base_, base_hash_, hash, {}};
  const size_t length = count - base_;
  if (length <= kMaxOpenRecords) {
    segment.records.assign(open_.begin(),
                           open_.begin() + static_cast<ptrdiff_t>(std::min(length, open_.size())));
    segment.records.resize(length);
    if (!Settle(segment, outcome)) {
      waiting_.push_back(std::move(segment));
      if (waiting_.size() > kMaxWaitingSegments) waiting_.pop_front();
    }
  }
  open_.erase(open_.begin(), open_.begin() + static_cast<ptrdiff_t>(std::min(length, open_.size())));
  base_ = count;
  base_hash_ = hash;
  return outcome;
}

void StreamTrack::AdvanceTo(uint64_t frontier) { frontier_ = std::max(frontier_, frontier); }

void StreamTrack::DeclareMissing(uint64_t up_to) {
  if (up_to <= frontier_) return;
  if (missing_.size() >= limits::kMaxGapsPerStream) missing_.erase(missing_.begin());
  missing_[frontier_] = up_to - 1;
  frontier_ = up_to;
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

std::optional<Digest> StreamTrack::HashAt(uint64_t count) const {
  if (count < base_ || count - base_ > open_.size()) return std::nullopt;
  Digest h = base_hash_;
  for (size_t i = 0; i < count - base_; ++i) {
    if (!open_[i].has_value()) return std::nullopt;
    h = NextRunningHash(h, *open_[i]);
  }
  return h;
}

}  // namespace keystead
