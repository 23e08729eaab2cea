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

// Not thread-safe. Memory is bounded whatever a peer sends (about 2 MiB at worst), and small for short
// streams.
class StreamTrack {
 public:
  // `initial` is h_0 of the stream.
  explicit StreamTrack(const Digest& initial) : base_hash_(initial) {}

  enum class Arrival {
    kNew,          // take it, after it has opened
    kDuplicate,    // the same bytes again
    kConflict,     // other bytes at a sequence that is taken
    kOld,          // below the window and not missing: a replay, bytes unknown
    kTooFarAhead,  // beyond the window: declare the gap first
  };
  Arrival Classify(uint64_t sequence, const Digest& record) const;

  // At this sequence the sender's checkpoint confirms another record than the one noted first.
  struct Swap {
    uint64_t sequence = 0;
    Digest record;
    bool operator==(const Swap&) const = default;
  };
  // What became certain through a note or a checkpoint.
  struct Outcome {
    std::vector<SequenceRange> confirmed;  // of the records noted first; never a swapped one
    std::vector<Swap> swapped;
    bool broken = false;  // a signed checkpoint contradicts what was read before it
  };

  // A record that opened, classified as new. Sequences below frontier() fill a declared gap.
  Outcome Note(uint64_t sequence, const Digest& record);
  // A second record that opened at a taken sequence, which a checkpoint may yet prefer. False, and forgotten:
  // a checkpoint has decided already, or kMaxVariantsPerSequence are known.
  bool NoteVariant(uint64_t sequence, const Digest& record, Outcome& outcome);
  // The signed word that records 0..count-1 have running hash `hash`.
  Outcome NoteCheckpoint(uint64_t count, const Digest& hash);

  // All below it are delivered or declared missing.
  uint64_t frontier() const { return frontier_; }
  void AdvanceTo(uint64_t frontier);               // delivered in order up to here
  void DeclareMissing(uint64_t up_to);             // from frontier() to up_to - 1; moves the frontier
  uint64_t end() const { return end_; }            // highest sequence noted + 1
  uint64_t confirmed_to() const { return base_; }  // start of the segment no checkpoint has closed
  const Digest& confirmed_hash() const { return base_hash_; }  // h at confirmed_to(), as the sender signed it
  uint64_t confirmed_count() const { return confirmed_count_; }
  uint64_t received() const { return received_; }
  std::vector<SequenceRange> missing() const;
  // Whether 0..count-1 are all here and confirmed.
  bool Complete(uint64_t count) const;

 private:
  friend class ReaderSnapshot;
  struct Slot {
    uint64_t sequence = 0;
    Digest digest;
    bool used = false;
  };
  // Records first..first+records.size()-1 between two signed hashes.
  struct Segment {
    uint64_t first = 0;
    Digest from;
    Digest to;
    std::vector<std::optional<Digest>> records;
    bool broken = false;  // complete, and said so; only another variant can still mend it
    uint64_t end() const { return first + records.size(); }
  };
  class ChainSearch;

  const Slot* FindSlot(uint64_t sequence) const;
  void SetSlot(uint64_t sequence, const Digest& record, bool replace);
  void SetInSegment(uint64_t sequence, const Digest& record, Outcome& outcome);
  std::deque<Segment>::iterator WaitingAt(uint64_t sequence);
  bool Settle(Segment& segment, Outcome& outcome);  // true: done with it
  void Confirm(const Segment& segment, const std::vector<Swap>& swaps, Outcome& outcome);
  void Wait(Segment segment);
  void SplitWaiting(uint64_t count, const Digest& hash, Outcome& outcome);
  void EraseMissing(uint64_t sequence);
  void BoundMissing();

  std::vector<Slot> window_;  // grows to what the stream needs, at most the whole window
  uint64_t frontier_ = 0;
  uint64_t end_ = 0;
  uint64_t received_ = 0;
  uint64_t confirmed_count_ = 0;
  uint64_t base_ = 0;
  Digest base_hash_;
  std::vector<std::optional<Digest>> open_;  // records from base_ on
  std::deque<Segment> waiting_;              // closed by a checkpoint, but with gaps, or contradicting it
  size_t waiting_records_ = 0;
  std::map<uint64_t, uint64_t> missing_;              // first → last
  std::map<uint64_t, std::vector<Digest>> variants_;  // other records at one sequence
};

}  // namespace keystead
