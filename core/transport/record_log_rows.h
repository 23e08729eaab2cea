// The rows in which RecordLog keeps what it knows (docs/architecture.md, "Rows"). Numbers are big-endian, so
// that the order of keys is the order of numbers.
//
//   kTopicTable   'n'                              -> next log number
//                 't' instantiation topic          -> log number, log id
//   kStreamTable  log 'h'                          -> head: checkpoint, bytes before it, bytes trimmed
//                 log 'c' offset                   -> a checkpoint: bytes before it, when (Unix ms)
//                 log 's' stream                   -> last offset, late?, what is forgotten, intervals of
//                 sequences log 'p' stream ~sequence         -> of one checkpoint's groups: their end, then
//                 first sequence and
//                                                     offset of each
//                 log 'l' stream sequence offset   -> a record that came late or as a variant: SHA-256,
//                 publisher
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/transport/record_log.h"
#include "core/transport/sequence_set.h"

namespace keystead {

// One stream within a topic. Sender and epoch belong to it: nobody else can write into its places.
struct StreamKey {
  MemberId sender;
  uint64_t epoch = 0;
  StreamId stream;
  bool operator==(const StreamKey&) const = default;
  template <class H>
  friend H AbslHashValue(H h, const StreamKey& key) {
    return H::combine(std::move(h), key.sender, key.epoch, key.stream);
  }
};

// How many intervals of sequences a stream remembers. What it has forgotten is looked up: a stream with gaps
// costs more time, not more memory.
inline constexpr size_t kMaxIntervals = 64;

// A group whose records came in order, from `first` on.
struct GroupPlace {
  uint64_t first = 0;  // sequence
  uint64_t offset = 0;
};

// What is known of a stream.
struct StreamState {
  SequenceSet have;
  uint64_t last_offset = 0;
  bool has_late = false;  // rows 'l' exist
  // Since the last checkpoint of the log, not stored:
  bool moved = false;
  std::vector<GroupPlace> places;  // rising in both

  size_t bytes() const {
    return sizeof(*this) + sizeof(StreamKey) + have.heap_bytes() + places.capacity() * sizeof(GroupPlace);
  }
};

// Where the groups between two checkpoints are that came in order.
struct Places {
  uint64_t end = 0;  // one past their last sequence
  std::vector<GroupPlace> groups;
};

// A record that came late or as a variant, with what it takes to recognise it without reading it.
struct LateRecord {
  uint64_t sequence = 0;
  uint64_t offset = 0;
  Digest digest;
  uint64_t publisher = 0;
};

struct LogHead {
  uint64_t checkpoint = 0;        // streams are stored as of this offset
  uint64_t checkpoint_bytes = 0;  // of all groups ever appended before it
  uint64_t trimmed_bytes = 0;     // of those that were discarded
};

struct Checkpoint {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  int64_t unix_ms = 0;
};

namespace rows {

inline constexpr std::string_view kNextLogKey = "n";

uint64_t GetU64(std::string_view bytes, size_t at);  // 0 past the end; sizes are checked by the decoders

std::string TopicPrefix(const InstantiationId& instantiation);
std::string TopicKeyOf(const InstantiationId& instantiation, const Topic& topic);
std::string EncodeTopicLog(const TopicLog& log);

std::string HeadKey(uint64_t log);
std::string CheckpointPrefix(uint64_t log);
std::string CheckpointKey(uint64_t log, uint64_t offset);
std::string StreamPrefix(uint64_t log);
std::string StreamKeyOf(uint64_t log, const StreamKey& stream);
std::string PositionPrefix(uint64_t log, const StreamKey& stream);
std::string PositionKey(uint64_t log, const StreamKey& stream, uint64_t sequence);
std::string LatePrefix(uint64_t log, const StreamKey& stream);
std::string LateKey(uint64_t log, const StreamKey& stream, uint64_t sequence, uint64_t offset);

std::string EncodeHead(const LogHead& head);
std::string EncodeCheckpoint(const Checkpoint& checkpoint);
std::string EncodeStream(const StreamState& state);
std::string EncodePlaces(uint64_t end, const std::vector<GroupPlace>& groups);
std::string EncodeLate(const Digest& digest, uint64_t publisher);

// DATA_LOSS when a row is not what the encoders write.
absl::StatusOr<uint64_t> DecodeNumber(std::string_view value);
absl::StatusOr<TopicLog> DecodeTopicLog(uint32_t tenant, std::string_view value);
absl::StatusOr<TopicPlace> DecodeTopicKey(uint32_t tenant, std::string_view key);
absl::StatusOr<LogHead> DecodeHead(std::string_view value);
absl::StatusOr<Checkpoint> DecodeCheckpoint(std::string_view key, std::string_view value);
absl::StatusOr<StreamState> DecodeStream(std::string_view value);
absl::StatusOr<StreamKey> DecodeStreamKey(std::string_view key);
absl::StatusOr<Places> DecodePlaces(std::string_view value);
absl::StatusOr<LateRecord> DecodeLate(std::string_view key, std::string_view value);

}  // namespace rows
}  // namespace keystead
