// Bodies of the signed objects inside sealed records: openings, checkpoints, loss reports. docs/protocol.md,
// "Streams".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/membership/notice.h"

namespace keystead {

inline constexpr size_t kMaxEchoedProbes = 16;

// What lets a reader judge how lately a sender spoke and under which membership.
struct Freshness {
  Digest commit_hash;  // head the sender acts under
  BootId boot;
  absl::Duration uptime;        // of the sender, whole milliseconds on the wire
  std::optional<int64_t> time;  // the sender's wall clock, seconds since 1970; shown, never trusted
  uint64_t hseq = 0;            // newest owner's head seen
  std::vector<Probe> echoes;    // the latest probe of each reader
  bool operator==(const Freshness&) const = default;
};

// The sender's stream before this one.
struct PreviousStream {
  StreamId stream;
  struct End {
    uint64_t last_sequence = 0;
    Digest hash;  // running hash over records 0..last_sequence
    bool operator==(const End&) const = default;
  };
  std::optional<End> end;  // none: the sender does not know where it ended (power cut)
  bool operator==(const PreviousStream&) const = default;
};

struct Opening {
  std::optional<PreviousStream> previous;  // none: the sender's first stream in this topic
  Freshness freshness;
};

struct Checkpoint {
  uint64_t count = 0;  // covers records 0..count-1; stands itself at sequence `count`
  Digest hash;         // h_count
  Freshness freshness;
  bool end = false;  // nothing follows in this stream
};

// Records the sender had to give up before any hop acknowledged them.
struct Loss {
  StreamId stream;
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
  std::string reason;  // "journal full", "refused"
};

Bytes EncodeOpening(const Opening& opening);
Bytes EncodeCheckpoint(const Checkpoint& checkpoint);
Bytes EncodeLoss(const Loss& loss);
// INVALID_ARGUMENT.
absl::StatusOr<Opening> ParseOpening(ByteView payload);
absl::StatusOr<Checkpoint> ParseCheckpoint(ByteView payload);
absl::StatusOr<Loss> ParseLoss(ByteView payload);

}  // namespace keystead
