// What of one stream a hop has shown since it was begun to be read anew. Bookkeeping over sequences; no keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "core/sealing/stream_track.h"

namespace keystead {

// Not thread-safe. Bounded: what a hop shows in more pieces than a reader remembers counts as not shown.
class PassRecord {
 public:
  // `end`: highest sequence + 1 that was read before the pass.
  explicit PassRecord(uint64_t end) : end_(end) {}

  void See(uint64_t sequence);
  // The first record between the first that was shown again and `end` which was read before and not shown:
  // retention may drop the beginning of a stream, never something within. `absent` was not read before.
  std::optional<uint64_t> FirstHole(std::span<const SequenceRange> absent) const;
  uint64_t shown_to() const { return shown_to_; }  // highest sequence + 1, also beyond `end`
  uint64_t end() const { return end_; }

 private:
  uint64_t end_;
  uint64_t shown_to_ = 0;
  std::map<uint64_t, uint64_t> shown_;  // first → end, below end_
};

}  // namespace keystead
