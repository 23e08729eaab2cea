// Every limit on what a peer may make us hold or loop over, in one place. docs/protocol.md, "Limits".
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace keystead::limits {

// Bytes from outside, checked before allocation.
inline constexpr size_t kMaxRecordBytes = 1 << 18;  // one COSE object
inline constexpr size_t kMaxGroupBytes = 1 << 20;   // one RecordGroup
inline constexpr size_t kMaxRecordsPerGroup = 1024;
inline constexpr size_t kMaxGroupsPerRequest = 1024;
inline constexpr size_t kMaxMessageBytes = 4 << 20;  // one gRPC message
inline constexpr size_t kMaxReadingsPerBatch = 4096;
inline constexpr size_t kMaxCborDepth = 8;
inline constexpr size_t kMaxCborItems = 1 << 16;
inline constexpr size_t kMaxCommitBytes = 1 << 18;
inline constexpr size_t kMaxRosterEntries = 1024;
inline constexpr size_t kMaxTopicsPerSubscription = 2048;
inline constexpr size_t kMailboxBytes = 4096;  // one rendezvous message
inline constexpr size_t kMailboxTries = 16;    // per arming
// Different bytes at one (stream, sequence): what a reader keeps, and what a hop keeps of one publisher.
inline constexpr size_t kMaxVariantsPerSequence = 4;
inline constexpr size_t kCourierVariants = 32;  // what the backend keeps of a gateway, which carries for many
inline constexpr size_t kSharedVariantsPerPlace =
    64;                                              // what a hop keeps of all publishers together, and then
inline constexpr size_t kMaxVariantsPerPlace = 128;  // one of each that has none yet, up to this
inline constexpr size_t kMaxGapsPerStream = 1024;    // intervals that a reader remembers
// Of one look at what is held (keystead.v1.Observer); its answer is one message of kMaxMessageBytes.
inline constexpr size_t kMaxHeldPlaces = 64;
inline constexpr size_t kMaxHeldGroups = 64;  // of each topic
inline constexpr size_t kMaxHeldTopics = 64;
inline constexpr size_t kReplayWindowRecords = 1024;  // telemetry, per stream

// One stream, one key (docs/protocol.md, "Streams"). Tests inject smaller ones.
struct StreamLimits {
  uint64_t records = uint64_t{1} << 24;
  uint64_t bytes = uint64_t{1} << 36;
  absl::Duration age = absl::Hours(24);
  uint64_t checkpoint_records = 64;
  absl::Duration checkpoint_interval = absl::Seconds(10);
};

}  // namespace keystead::limits
