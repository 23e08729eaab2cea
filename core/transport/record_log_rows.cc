#include "core/transport/record_log_rows.h"

#include "core/base/big_endian.h"
#include "core/base/bytes.h"
#include "core/base/status.h"

namespace keystead::rows {
namespace {

constexpr size_t kStreamBytes = MemberId::kSize + 8 + StreamId::kSize;

std::string LogKey(uint64_t log, char kind) {
  std::string out;
  out.reserve(9 + kStreamBytes + 16);
  PutNumber(out, log);
  out.push_back(kind);
  return out;
}

std::string LogStreamKey(uint64_t log, char kind, const StreamKey& stream) {
  std::string out = LogKey(log, kind);
  out.append(AsChars(stream.sender.view()));
  PutNumber(out, stream.epoch);
  out.append(AsChars(stream.stream.view()));
  return out;
}

absl::Status Damaged(std::string_view row) {
  return absl::DataLossError(absl::StrCat("row of another shape: ", Absl(row)));
}

}  // namespace

uint64_t GetU64(std::string_view bytes, size_t at) {
  if (bytes.size() < 8 || at > bytes.size() - 8) return 0;
  return GetNumber(bytes.substr(at, 8));
}

std::string TopicPrefix(const InstantiationId& instantiation) { return "t" + ToString(instantiation.view()); }
std::string TopicKeyOf(const InstantiationId& instantiation, const Topic& topic) {
  return TopicPrefix(instantiation) + topic.str();
}
std::string EncodeTopicLog(const TopicLog& log) {
  std::string out;
  PutNumber(out, log.ref.log);
  out.append(AsChars(log.id.view()));
  return out;
}

std::string HeadKey(uint64_t log) { return LogKey(log, 'h'); }
std::string CheckpointPrefix(uint64_t log) { return LogKey(log, 'c'); }
std::string CheckpointKey(uint64_t log, uint64_t offset) {
  std::string out = CheckpointPrefix(log);
  PutNumber(out, offset);
  return out;
}
std::string StreamPrefix(uint64_t log) { return LogKey(log, 's'); }
std::string StreamKeyOf(uint64_t log, const StreamKey& stream) { return LogStreamKey(log, 's', stream); }
std::string PositionPrefix(uint64_t log, const StreamKey& stream) { return LogStreamKey(log, 'p', stream); }
std::string PositionKey(uint64_t log, const StreamKey& stream, uint64_t sequence) {
  std::string out = PositionPrefix(log, stream);
  PutNumber(out, ~sequence);
  return out;
}
std::string LatePrefix(uint64_t log, const StreamKey& stream) { return LogStreamKey(log, 'l', stream); }
std::string LateKey(uint64_t log, const StreamKey& stream, uint64_t sequence, uint64_t offset) {
  std::string out = LatePrefix(log, stream);
  PutNumber(out, sequence);
  PutNumber(out, offset);
  return out;
}

std::string EncodeHead(const LogHead& head) {
  std::string out;
  PutNumber(out, head.checkpoint);
  PutNumber(out, head.checkpoint_bytes);
  PutNumber(out, head.trimmed_bytes);
  return out;
}

std::string EncodeCheckpoint(const Checkpoint& checkpoint) {
  std::string out;
  PutNumber(out, checkpoint.bytes);
  PutNumber(out, static_cast<uint64_t>(checkpoint.unix_ms));
  return out;
}

std::string EncodeStream(const StreamState& state) {
  std::string out;
  PutNumber(out, state.last_offset);
  PutNumber(out, state.has_late ? 1 : 0);
  PutNumber(out, state.have.forgotten_below());
  for (const SequenceSet::Interval& interval : state.have.intervals()) {
    PutNumber(out, interval.first);
    PutNumber(out, interval.end);
  }
  return out;
}

std::string EncodePlaces(uint64_t end, const std::vector<GroupPlace>& groups) {
  std::string out;
  out.reserve(8 + groups.size() * 16);
  PutNumber(out, end);
  for (const GroupPlace& group : groups) {
    PutNumber(out, group.first);
    PutNumber(out, group.offset);
  }
  return out;
}

std::string EncodeLate(const Digest& digest, uint64_t publisher) {
  std::string out = ToString(digest.view());
  PutNumber(out, publisher);
  return out;
}

absl::StatusOr<uint64_t> DecodeNumber(std::string_view value) {
  if (value.size() != 8) return Damaged("number");
  return GetU64(value, 0);
}

absl::StatusOr<TopicLog> DecodeTopicLog(uint32_t tenant, std::string_view value) {
  if (value.size() != 8 + LogId::kSize) return Damaged("topic");
  TopicLog out;
  out.ref = {tenant, GetU64(value, 0)};
  KS_ASSIGN_OR_RETURN(out.id, LogId::FromBytes(value.substr(8)));
  return out;
}

absl::StatusOr<TopicPlace> DecodeTopicKey(uint32_t tenant, std::string_view key) {
  if (key.size() <= 1 + InstantiationId::kSize || key[0] != 't') return Damaged("topic key");
  TopicPlace out;
  out.tenant = tenant;
  KS_ASSIGN_OR_RETURN(out.instantiation, InstantiationId::FromBytes(key.substr(1, InstantiationId::kSize)));
  KS_ASSIGN_OR_RETURN(out.topic, Topic::Parse(key.substr(1 + InstantiationId::kSize)));
  return out;
}

absl::StatusOr<LogHead> DecodeHead(std::string_view value) {
  if (value.size() != 24) return Damaged("head");
  return LogHead{GetU64(value, 0), GetU64(value, 8), GetU64(value, 16)};
}

absl::StatusOr<Checkpoint> DecodeCheckpoint(std::string_view key, std::string_view value) {
  if (key.size() != 17 || value.size() != 16) return Damaged("checkpoint");
  return Checkpoint{GetU64(key, 9), GetU64(value, 0), static_cast<int64_t>(GetU64(value, 8))};
}

absl::StatusOr<StreamState> DecodeStream(std::string_view value) {
  constexpr size_t kFixedBytes = 24;
  if (value.size() < kFixedBytes || (value.size() - kFixedBytes) % 16 != 0) return Damaged("stream");
  StreamState out;
  out.last_offset = GetU64(value, 0);
  out.has_late = GetU64(value, 8) != 0;
  out.have.ForgetBelow(GetU64(value, 16));
  for (size_t at = kFixedBytes; at < value.size(); at += 16) {
    const SequenceSet::Interval interval{GetU64(value, at), GetU64(value, at + 8)};
    if (interval.first >= interval.end || (at > kFixedBytes && interval.first <= out.have.end()))
      return Damaged("stream");
    out.have.Add(interval.first, interval.end, kMaxIntervals);
  }
  return out;
}

absl::StatusOr<StreamKey> DecodeStreamKey(std::string_view key) {
  if (key.size() < 9 + kStreamBytes) return Damaged("stream key");
  StreamKey out;
  KS_ASSIGN_OR_RETURN(out.sender, MemberId::FromBytes(key.substr(9, MemberId::kSize)));
  out.epoch = GetU64(key, 9 + MemberId::kSize);
  KS_ASSIGN_OR_RETURN(out.stream, StreamId::FromBytes(key.substr(9 + MemberId::kSize + 8, StreamId::kSize)));
  return out;
}

absl::StatusOr<Places> DecodePlaces(std::string_view value) {
  if (value.size() < 24 || (value.size() - 8) % 16 != 0) return Damaged("places");
  Places out;
  out.end = GetU64(value, 0);
  for (size_t at = 8; at < value.size(); at += 16) {
    const GroupPlace group{GetU64(value, at), GetU64(value, at + 8)};
    const bool rises = out.groups.empty() ||
                       (group.first > out.groups.back().first && group.offset > out.groups.back().offset);
    if (!rises || group.first >= out.end) return Damaged("places");
    out.groups.push_back(group);
  }
  return out;
}

absl::StatusOr<LateRecord> DecodeLate(std::string_view key, std::string_view value) {
  if (key.size() != 9 + kStreamBytes + 16 || value.size() != Digest::kSize + 8) return Damaged("late record");
  LateRecord out;
  out.sequence = GetU64(key, key.size() - 16);
  out.offset = GetU64(key, key.size() - 8);
  KS_ASSIGN_OR_RETURN(out.digest, Digest::FromBytes(value.substr(0, Digest::kSize)));
  out.publisher = GetU64(value, Digest::kSize);
  return out;
}

}  // namespace keystead::rows
