#include "backend/rows.h"

#include "core/base/big_endian.h"
#include "core/base/status.h"

namespace keystead::backend {
namespace {

constexpr size_t kNumberBytes = 8;
constexpr size_t kCommitPrefixBytes = kNumberBytes + Digest::kSize;

absl::Status Damaged() { return absl::DataLossError("a row of the backend is damaged"); }

}  // namespace

std::string EncodeNumber(uint64_t number) {
  std::string out;
  PutNumber(out, number);
  return out;
}

absl::StatusOr<uint64_t> DecodeNumber(std::string_view bytes) {
  if (bytes.size() != kNumberBytes) return Damaged();
  return GetNumber(bytes);
}

std::string CommitKey(const InstantiationId& id, uint64_t epoch) {
  return id.ToString() + EncodeNumber(epoch);
}

std::string EncodeCommit(const CommitRow& row) {
  return EncodeNumber(static_cast<uint64_t>(absl::ToUnixMicros(row.taken))) + row.hash.ToString() +
         row.bundle;
}

absl::StatusOr<CommitRow> DecodeCommit(std::string_view bytes) {
  if (bytes.size() <= kCommitPrefixBytes) return Damaged();
  CommitRow row;
  KS_ASSIGN_OR_RETURN(const uint64_t micros, DecodeNumber(bytes.substr(0, kNumberBytes)));
  row.taken = absl::FromUnixMicros(static_cast<int64_t>(micros));
  KS_ASSIGN_OR_RETURN(row.hash, Digest::FromBytes(bytes.substr(kNumberBytes, Digest::kSize)));
  row.bundle = std::string(bytes.substr(kCommitPrefixBytes));
  return row;
}

std::string EncodeDevice(const DeviceRow& row) {
  return EncodeNumber(row.reset_counter) + row.instantiation.ToString() + row.acceptance.ToString();
}

absl::StatusOr<DeviceRow> DecodeDevice(std::string_view bytes) {
  if (bytes.size() != kNumberBytes + InstantiationId::kSize + Digest::kSize) return Damaged();
  DeviceRow row;
  KS_ASSIGN_OR_RETURN(row.reset_counter, DecodeNumber(bytes.substr(0, kNumberBytes)));
  KS_ASSIGN_OR_RETURN(row.instantiation,
                      InstantiationId::FromBytes(bytes.substr(kNumberBytes, InstantiationId::kSize)));
  KS_ASSIGN_OR_RETURN(row.acceptance, Digest::FromBytes(bytes.substr(kNumberBytes + InstantiationId::kSize)));
  return row;
}

std::string EncodeUsage(const StoredUsage& usage) {
  return EncodeNumber(usage.groups) + EncodeNumber(usage.bytes);
}

absl::StatusOr<StoredUsage> DecodeUsage(std::string_view bytes) {
  if (bytes.size() != 2 * kNumberBytes) return Damaged();
  StoredUsage usage;
  KS_ASSIGN_OR_RETURN(usage.groups, DecodeNumber(bytes.substr(0, kNumberBytes)));
  KS_ASSIGN_OR_RETURN(usage.bytes, DecodeNumber(bytes.substr(kNumberBytes)));
  return usage;
}

std::string EncodeErased(const ErasedRow& row) {
  return EncodeNumber(row.number) + EncodeNumber(static_cast<uint64_t>(absl::ToUnixMicros(row.erased))) +
         EncodeUsage(row.was) + (row.complete ? '\1' : '\0');
}

absl::StatusOr<ErasedRow> DecodeErased(std::string_view bytes) {
  if (bytes.size() != 4 * kNumberBytes + 1) return Damaged();
  ErasedRow row;
  KS_ASSIGN_OR_RETURN(const uint64_t number, DecodeNumber(bytes.substr(0, kNumberBytes)));
  row.number = static_cast<uint32_t>(number);
  KS_ASSIGN_OR_RETURN(const uint64_t micros, DecodeNumber(bytes.substr(kNumberBytes, kNumberBytes)));
  row.erased = absl::FromUnixMicros(static_cast<int64_t>(micros));
  KS_ASSIGN_OR_RETURN(row.was, DecodeUsage(bytes.substr(2 * kNumberBytes, 2 * kNumberBytes)));
  row.complete = bytes.back() != '\0';
  return row;
}

std::string EncodeGone(const GoneRow& row) {
  return EncodeNumber(static_cast<uint64_t>(absl::ToUnixMicros(row.erased))) + EncodeUsage(row.was);
}

absl::StatusOr<GoneRow> DecodeGone(std::string_view bytes) {
  if (bytes.size() != 3 * kNumberBytes) return Damaged();
  GoneRow row;
  KS_ASSIGN_OR_RETURN(const uint64_t micros, DecodeNumber(bytes.substr(0, kNumberBytes)));
  row.erased = absl::FromUnixMicros(static_cast<int64_t>(micros));
  KS_ASSIGN_OR_RETURN(row.was, DecodeUsage(bytes.substr(kNumberBytes)));
  return row;
}

std::string EncodeErasing(const ErasingRow& row) {
  std::string out = EncodeNumber(row.commits);
  for (const uint64_t log : row.logs) PutNumber(out, log);
  return out;
}

absl::StatusOr<ErasingRow> DecodeErasing(std::string_view bytes) {
  if (bytes.empty() || bytes.size() % kNumberBytes != 0) return Damaged();
  ErasingRow row;
  row.commits = GetNumber(bytes.substr(0, kNumberBytes));
  for (size_t at = kNumberBytes; at < bytes.size(); at += kNumberBytes)
    row.logs.push_back(GetNumber(bytes.substr(at, kNumberBytes)));
  return row;
}

std::string EncodeAuditState(const AuditState& state) {
  return EncodeNumber(state.first) + state.before.ToString() + EncodeNumber(state.count) +
         state.head.ToString();
}

absl::StatusOr<AuditState> DecodeAuditState(std::string_view bytes) {
  constexpr size_t kHalf = kNumberBytes + Digest::kSize;
  if (bytes.size() != 2 * kHalf) return Damaged();
  AuditState state;
  KS_ASSIGN_OR_RETURN(state.first, DecodeNumber(bytes.substr(0, kNumberBytes)));
  KS_ASSIGN_OR_RETURN(state.before, Digest::FromBytes(bytes.substr(kNumberBytes, Digest::kSize)));
  KS_ASSIGN_OR_RETURN(state.count, DecodeNumber(bytes.substr(kHalf, kNumberBytes)));
  KS_ASSIGN_OR_RETURN(state.head, Digest::FromBytes(bytes.substr(kHalf + kNumberBytes)));
  return state;
}

std::string EvictedKey(const InstantiationId& id, const Digest& ckt) {
  return id.ToString() + ckt.ToString();
}

absl::StatusOr<Digest> DecodeEvictedKey(std::string_view key) {
  if (key.size() != InstantiationId::kSize + Digest::kSize) return Damaged();
  return Digest::FromBytes(key.substr(InstantiationId::kSize));
}

}  // namespace keystead::backend
