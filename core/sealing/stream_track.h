// Which records of one stream a reader has: what is new, what came twice, what contradicts, what is missing,
// and what signed checkpoints have confirmed. Bookkeeping over sequences and hashes; no keys.
// docs/protocol.md, "What a reader concludes".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/limits.h"

namespace keystead {

struct SequenceRange {
  uint64_t first = 0;
  uint64_t last = 0;  // inclusive
  bool operator==(const SequenceRange&) const = default;
};

// Not thread-safe. Memory is bounded by limits.h whatever a peer sends.
class StreamTrack {
 public:
  // `initial` is h_0 of the stream.
  explicit StreamTrack(const Digest& initial);

  enum class Arrival {
    kNew,          // take it, after it has opened
    kDuplicate,    // the same bytes again
    kConflict,     // other bytes at a sequence that is taken
    kOld,          // below the window and not missing: a replay, bytes unknown
    kTooFarAhead,  // beyond the window: declare the gap first
  };
  Arrival Classify(uint64_t sequence, const Digest& record) const;

  // What became certain through a note or a checkpoint.
  struct Outcome {
    std::vector<SequenceRange> confirmed;
    bool broken = false;              // a signed checkpoint contradicts what was read before it
    std::optional<uint64_t> swapped;  // the checkpoint confirms the other record at this sequence
  };

  // A record that opened, classified as new. Sequences below frontier() fill a declared gap.
  Outcome Note(uint64_t sequence, const Digest& record);
  // A second record that opened at a taken sequence. False: kMaxVariantsPerSequence are known already.
  bool NoteVariant(uint64_t sequence, const Digest& record);
  // The signed word that records 0..count-1 have running hash `hash`.
  Outcome NoteCheckpoint(uint64_t count, const Digest& hash);

  // All below it are delivered or declared missing.
  uint64_t frontier() const { return frontier_; }
  void AdvanceTo(uint64_t frontier);               // delivered in order up to here
  void DeclareMissing(uint64_t up_to);             // from frontier() to up_to - 1; moves the frontier
  uint64_t end() const { return end_; }            // highest sequence noted + 1
  uint64_t confirmed_to() const { return base_; }  // start of the segment no checkpoint has closed
  uint64_t confirmed_count() const { return confirmed_count_; }
  uint64_t received() const { return received_; }
  std::vector<SequenceRange> missing() const;
  // Hash over records 0..count-1 where a checkpoint or the records themselves tell it.
  std::optional<Digest> HashAt(uint64_t count) const;

 private:
  friend class ReaderSnapshot;
  struct Slot {
    uint64_t sequence = 0;
    Digest digest;
    bool used = false;
  };
  // Records first..first+digests.size()-1 between two signed hashes.
  struct Segment {
    uint64_t first = 0;
    Digest from;
    Digest to;
    std::vector<std::optional<Digest>> records;
  };

  Slot& SlotOf(uint64_t sequence) { return window_[sequence % window_.size()]; }
  const Slot& SlotOf(uint64_t sequence) const { return window_[sequence % window_.size()]; }
  void SetInSegment(uint64_t sequence, const Digest& record, Outcome& outcome);
  bool Settle(Segment& segment, Outcome& outcome);  // true: nothing more can come of it
  void EraseMissing(uint64_t sequence);

  std::vector<Slot> window_;
  uint64_t frontier_ = 0;
  uint64_t end_ = 0;
  uint64_t received_ = 0;
  uint64_t confirmed_count_ = 0;
  uint64_t base_ = 0;
  Digest base_hash_;
  std::vector<std::optional<Digest>> open_;           // records from base_ on
  std::deque<Segment> waiting_;                       // closed by a checkpoint, but with gaps
  std::map<uint64_t, uint64_t> missing_;              // first → last
  std::map<uint64_t, std::vector<Digest>> variants_;  // other records at one sequence
};

}  // namespace keystead
