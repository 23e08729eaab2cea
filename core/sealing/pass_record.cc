#include "core/sealing/pass_record.h"

#include <algorithm>
#include <iterator>

namespace keystead {
namespace {

constexpr size_t kMaxPieces = 2 * limits::kMaxGapsPerStream;

}  // namespace

void PassRecord::See(uint64_t sequence) {
  shown_to_ = std::max(shown_to_, sequence + 1);
  if (sequence >= end_) return;
  auto after = shown_.upper_bound(sequence);
  const bool joins_before = after != shown_.begin() && std::prev(after)->second >= sequence;
  if (joins_before && std::prev(after)->second > sequence) return;
  const bool joins_after = after != shown_.end() && after->first == sequence + 1;
  if (!joins_before && !joins_after && shown_.size() >= kMaxPieces) return;
  const uint64_t end = joins_after ? after->second : sequence + 1;
  if (joins_before) {
    std::prev(after)->second = end;
  } else {
    shown_.emplace_hint(after, sequence, end);
  }
  if (joins_after) shown_.erase(after);
}

std::optional<uint64_t> PassRecord::FirstHole(std::span<const SequenceRange> absent) const {
  if (shown_.empty()) return std::nullopt;
  for (auto piece = shown_.begin(); piece != shown_.end(); ++piece) {
    uint64_t at = piece->second;
    const uint64_t up_to = std::next(piece) == shown_.end() ? end_ : std::next(piece)->first;
    for (const SequenceRange& range : absent) {
      if (range.first <= at && at <= range.last) at = range.last + 1;
    }
    if (at < up_to) return at;
  }
  return std::nullopt;
}

}  // namespace keystead
