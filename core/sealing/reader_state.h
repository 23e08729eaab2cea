// What a Reader remembers of a stream and of a sender. Internal to core/sealing.
#pragma once

#include <map>
#include <set>

#include "core/sealing/reader.h"
#include "core/sealing/stream_writer.h"

namespace keystead {

struct Reader::Stream {
  Stream(StreamPlace p, RecordCipher c)
      : place(std::move(p)), cipher(std::move(c)), track(InitialRunningHash(place)) {}

  StreamPlace place;
  RecordCipher cipher;
  StreamTrack track;
  const RosterEntry* sender = nullptr;  // as of the stream's epoch; MembershipChanged refreshes it
  std::map<uint64_t, Bytes> held;       // opened and verified, waiting for what comes before
  size_t held_bytes = 0;
  absl::Duration hole_since = absl::InfiniteDuration();  // uptime when the frontier began to wait
  std::optional<uint64_t> told_end;                      // the sender said the stream has so many records
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
  uint64_t pass_end = 0;  // highest sequence + 1 since BeginPass
  bool in_pass = false;
  std::optional<Opening> opening;
  std::vector<Loss> losses;
  std::optional<Freshness> last_word;
  absl::Duration last_word_at;
  std::optional<absl::Duration> live_at;  // when the newest echoed own probe was made
};

struct Reader::Sender {
  Stream* current = nullptr;
  std::map<std::optional<StreamId>, StreamId> successors;  // predecessor → the stream that named it
};

}  // namespace keystead
