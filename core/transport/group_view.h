// Sealed groups as bytes. Hops store and forward a group as it came in, so they look at it without taking it
// apart; senders build it without a message object. docs/protocol.md, "Groups".
//
//   SealedGroup  = 0A len StreamHeader (12 len SealedRecord)+
//   StreamHeader = 0A len tenant 12 len instantiation 1A len topic 22 len sender [28 epoch] 32 len stream
//   SealedRecord = [08 sequence] 12 len cose
//
// Exactly this encoding is accepted, which is what every protobuf library writes: fields in this order, each
// once, zero numbers left out, shortest varints, nothing unknown. So a group has one encoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/storage/log_store.h"

namespace keystead {

using storage::Payload;

// The outer fields of a stream. Value type.
struct GroupHeader {
  TenantName tenant;
  InstantiationId instantiation;
  Topic topic;
  MemberId sender;
  uint64_t epoch = 0;
  StreamId stream;  // all zero for membership commits
  bool operator==(const GroupHeader&) const = default;
};

struct RecordView {
  uint64_t sequence = 0;
  ByteView cose;  // not empty, at most limits::kMaxRecordBytes
};

// Headers by their bytes: a stream repeats its header in every group, and reading it costs more than the
// rest. Not thread-safe; one per connection. Holds at most `max_headers`, then starts anew.
class GroupHeaderCache {
 public:
  explicit GroupHeaderCache(size_t max_headers = 1024) : max_headers_(max_headers) {}
  // `header` is a serialized StreamHeader, without tag and length. INVALID_ARGUMENT.
  absl::StatusOr<std::shared_ptr<const GroupHeader>> Get(std::string_view header);

 private:
  const size_t max_headers_;
  std::string last_bytes_;
  std::shared_ptr<const GroupHeader> last_;
  absl::flat_hash_map<std::string, std::shared_ptr<const GroupHeader>> headers_;
};

// A group that has been checked against every limit of core/base/limits.h: 1 to kMaxRecordsPerGroup records
// in strictly rising sequence. Says nothing about who wrote it or whether a record opens. Views into the
// bytes that were parsed, which must outlive it.
class GroupView {
 public:
  // INVALID_ARGUMENT for anything but the encoding above.
  static absl::StatusOr<GroupView> Parse(std::string_view group, GroupHeaderCache& cache);

  const GroupHeader& header() const { return *header_; }
  const std::shared_ptr<const GroupHeader>& shared_header() const { return header_; }
  std::span<const RecordView> records() const { return records_; }
  uint64_t first_sequence() const { return records_.front().sequence; }
  uint64_t last_sequence() const { return records_.back().sequence; }
  std::string_view bytes() const { return bytes_; }
  std::string_view header_bytes() const { return header_bytes_; }  // tag and length included

 private:
  std::shared_ptr<const GroupHeader> header_;
  absl::InlinedVector<RecordView, 1> records_;
  std::string_view bytes_;
  std::string_view header_bytes_;
};

// Field 1 of a SealedGroup, tag and length included: what all groups of a stream begin with.
std::string EncodeGroupHeader(const GroupHeader& header);

// Writes groups of one stream. Not thread-safe.
class GroupBuilder {
 public:
  explicit GroupBuilder(const GroupHeader& header);
  explicit GroupBuilder(std::string header_bytes);  // of EncodeGroupHeader or GroupView::header_bytes

  // Whether a record of that many bytes still fits beside what there is.
  bool Fits(size_t cose_bytes) const;
  // INVALID_ARGUMENT: empty, too large, or a sequence that does not rise. RESOURCE_EXHAUSTED: does not fit,
  // Take() first.
  absl::Status Append(uint64_t sequence, ByteView cose);

  bool empty() const { return records_ == 0; }
  size_t records() const { return records_; }
  size_t bytes() const { return group_.size(); }
  Payload
  Take();  // the group, which must not be empty; afterwards the builder is empty. Sequences go on rising

 private:
  std::string prefix_;
  std::string group_;
  size_t records_ = 0;
  uint64_t next_sequence_ = 0;  // the least that may follow
};

}  // namespace keystead
