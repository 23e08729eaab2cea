// What the app has read and how far: the reader's own snapshot, positions on the next hop's logs, streams
// that were read to their end, and how often each alarm rang. One process at a time remembers: the others
// read the same hop beside it (watch_session.h).
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/topic.h"

namespace keystead::mobile {

struct ReaderMemory {
  // Up to where a topic was read without anything held back for a gap.
  struct Position {
    LogId log;
    uint64_t next = 0;
    bool operator==(const Position&) const = default;
  };

  uint64_t generation = 0;  // rises with every time it is stored
  Bytes snapshot;           // Reader::Snapshot; empty: none
  std::map<Topic, Position> positions;
  std::map<std::string, uint64_t> alarms;  // how often, by kind

  Bytes Encode() const;
  static absl::StatusOr<ReaderMemory> Parse(ByteView encoded);  // INVALID_ARGUMENT
};

}  // namespace keystead::mobile
