#include "gateway/rows.h"

#include "core/base/status.h"

namespace keystead::gateway {

std::string EncodeNumber(uint64_t number) {
  std::string out(8, '\0');
  for (size_t i = 8; i-- > 0; number >>= 8) out[i] = static_cast<char>(number & 0xff);
  return out;
}

absl::StatusOr<uint64_t> DecodeNumber(std::string_view bytes) {
  if (bytes.size() != 8) return absl::DataLossError("a stored number does not have 8 bytes");
  uint64_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<uint8_t>(c);
  return out;
}

std::string LogKey(uint64_t log) { return EncodeNumber(log); }
std::string EntryKey(uint64_t log, uint64_t offset) { return EncodeNumber(log) + EncodeNumber(offset); }

absl::StatusOr<uint64_t> DecodeEntryOffset(std::string_view key) {
  if (key.size() != 16) return absl::DataLossError("the key of a stored entry does not have 16 bytes");
  return DecodeNumber(key.substr(8));
}

std::string PositionKey(const InstantiationId& id, const Topic& topic) { return id.ToString() + topic.str(); }
std::string EncodePosition(const Position& position) {
  return position.log_id.ToString() + EncodeNumber(position.next_offset);
}
absl::StatusOr<Position> DecodePosition(std::string_view bytes) {
  if (bytes.size() != LogId::kSize + 8) return absl::DataLossError("a stored position has another size");
  Position out;
  KS_ASSIGN_OR_RETURN(out.log_id, LogId::FromBytes(bytes.substr(0, LogId::kSize)));
  KS_ASSIGN_OR_RETURN(out.next_offset, DecodeNumber(bytes.substr(LogId::kSize)));
  return out;
}

std::string CommitKey(const InstantiationId& id, uint64_t epoch) {
  return id.ToString() + EncodeNumber(epoch);
}
std::string EncodeCommit(const CommitRow& row) {
  return EncodeNumber(static_cast<uint64_t>(absl::ToUnixMicros(row.taken))) + EncodeNumber(row.offset) +
         row.group;
}
absl::StatusOr<CommitRow> DecodeCommit(std::string_view bytes) {
  if (bytes.size() <= 16) return absl::DataLossError("a stored commit is too short");
  CommitRow out;
  KS_ASSIGN_OR_RETURN(const uint64_t taken, DecodeNumber(bytes.substr(0, 8)));
  out.taken = absl::FromUnixMicros(static_cast<int64_t>(taken));
  KS_ASSIGN_OR_RETURN(out.offset, DecodeNumber(bytes.substr(8, 8)));
  out.group = std::string(bytes.substr(16));
  return out;
}

}  // namespace keystead::gateway
