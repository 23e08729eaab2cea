// What a Reader remembers of a stream and of a sender. Internal to core/sealing.
#pragma once

#include <deque>
#include <map>
#include <utility>

#include "core/sealing/pass_record.h"
#include "core/sealing/reader.h"
#include "core/sealing/stream_writer.h"

namespace keystead {

// Of the kinds that may stand in a sealed topic.
inline bool IsSignedKind(std::string_view kind) { return kind != kinds::kReadings; }

struct Reader::Stream {
  Stream(StreamPlace p, RecordCipher c)
      : place(std::move(p)), cipher(std::move(c)), track(InitialRunningHash(place)) {}

  StreamPlace place;
  RecordCipher cipher;
  StreamTrack track;
  const RosterEntry* sender = nullptr;  // as of the stream's epoch; MembershipChanged refreshes it
  struct Held {
    Digest sealed;
    Bytes content;
  };
  std::map<uint64_t, Held> held;  // opened and verified, waiting for what comes before
  size_t held_bytes = 0;
  // Of what was held back, the earliest first: sequence, uptime when it came. What has left `held` since is
  // skipped.
  std::deque<std::pair<uint64_t, absl::Duration>> held_since;
  std::map<std::pair<uint64_t, Digest>, Bytes> variants;  // second records, until a checkpoint decides
  size_t variant_bytes = 0;
  // Uptime when the first of what follows the frontier came; infinite while nothing is known to follow.
  absl::Duration hole_since = absl::InfiniteDuration();
  std::optional<uint64_t> closed_at;  // the sender signed that there are so many records
  absl::Duration closed_since;        // uptime when this reader heard so
  // Set while nothing of the stream was read and all that is known of it is that a later opening names it: h
  // at closed_at. Its epoch is then a guess, and its first record tells it.
  std::optional<Digest> awaited;
  bool has_signed = false;  // something the sender signed was read
  bool opened = false;
  bool ended = false;
  bool stale = false;
  bool tail_unknown = false;
  bool cloned = false;
  bool broken = false;
  bool after_removal = false;
  uint64_t duplicates = 0;
  uint64_t conflicts = 0;
  uint64_t refused = 0;
  std::optional<PassRecord> pass;  // since BeginPass, until CaughtUp
  std::vector<Loss> losses;
  std::optional<Freshness> last_word;
  uint64_t last_word_sequence = 0;
  absl::Duration last_word_at;
  std::optional<absl::Duration> live_at;  // when the newest echoed own probe was made
};

struct Reader::Sender {
  struct Retired {
    uint64_t epoch = 0;
    uint64_t count = 0;  // records the stream had
  };
  Stream* current = nullptr;
  // The earliest stream of which something signed was read: what came before it was before this reader's
  // time.
  std::optional<StreamId> first;
  std::vector<Stream*> streams;                            // not retired, oldest first
  std::map<std::optional<StreamId>, StreamId> successors;  // predecessor → the stream that named it first
  std::map<StreamId, Retired> retired;                     // read to the end: nothing of them is new any more
};

}  // namespace keystead
