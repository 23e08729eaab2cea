#include "core/copies/backup_file.h"

#include "core/base/status.h"
#include "core/cose/cbor.h"

namespace keystead::copies {
namespace {

using storage::TenantItem;

constexpr std::string_view kMagic = "ks1 backup";
constexpr size_t kNumberBytes = 8;
constexpr size_t kKeyLengthBytes = 2;

absl::Status Malformed() { return absl::InvalidArgumentError("a malformed frame"); }

void Put(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t Get(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

std::string EncodeBackupHeader(const BackupHeader& header) {
  return ToString(cose::EncodeArray(kMagic, header.store, header.tenant, uint64_t{header.number},
                                    static_cast<uint64_t>(absl::ToUnixMicros(header.taken)),
                                    uint64_t{header.key_version}));
}

absl::StatusOr<BackupHeader> DecodeBackupHeader(const Frame& frame) {
  if (frame.kind != 'H') return Malformed();
  cose::CborReader reader(AsBytes(frame.payload));
  BackupHeader out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(6));
  KS_RETURN_IF_ERROR(reader.ExpectText(kMagic));
  KS_ASSIGN_OR_RETURN(out.store, reader.ReadId<StoreId>());
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, reader.ReadText());
  KS_ASSIGN_OR_RETURN(out.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(const uint64_t number, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(const uint64_t micros, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(const uint64_t version, reader.ReadUint());
  KS_RETURN_IF_ERROR(reader.Finish());
  if (number == 0 || number >= UINT32_MAX || version > UINT32_MAX || micros > INT64_MAX) return Malformed();
  out.number = static_cast<uint32_t>(number);
  out.taken = absl::FromUnixMicros(static_cast<int64_t>(micros));
  out.key_version = static_cast<uint32_t>(version);
  return out;
}

std::string EncodeBackupTrailer(const BackupTrailer& trailer) {
  return ToString(cose::EncodeArray(trailer.frames, trailer.digest, trailer.mac));
}

absl::StatusOr<BackupTrailer> DecodeBackupTrailer(const Frame& frame) {
  if (frame.kind != kTrailerKind) return Malformed();
  cose::CborReader reader(AsBytes(frame.payload));
  BackupTrailer out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(3));
  KS_ASSIGN_OR_RETURN(out.frames, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(out.digest, reader.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(out.mac, reader.ReadId<Digest>());
  KS_RETURN_IF_ERROR(reader.Finish());
  return out;
}

char KindOf(const TenantItem& item) {
  switch (item.kind) {
    case TenantItem::Kind::kEntry:
      return 'E';
    case TenantItem::Kind::kTrim:
      return 'T';
    case TenantItem::Kind::kRow:
      return 'R';
  }
  return '?';
}

std::string EncodeItem(const TenantItem& item) {
  std::string out;
  out.reserve(3 * kNumberBytes + item.key.size() + item.value.size());
  if (item.kind == TenantItem::Kind::kRow) {
    Put(out, static_cast<uint8_t>(item.table), 1);
    Put(out, item.key.size(), kKeyLengthBytes);
    out.append(item.key).append(item.value);
    return out;
  }
  Put(out, item.log, kNumberBytes);
  Put(out, item.offset, kNumberBytes);
  if (item.kind == TenantItem::Kind::kTrim) Put(out, item.end, kNumberBytes);
  return out.append(item.value);
}

absl::StatusOr<TenantItem> DecodeItem(const Frame& frame) {
  std::string_view bytes = frame.payload;
  TenantItem out;
  if (frame.kind == 'R') {
    if (bytes.size() < 1 + kKeyLengthBytes) return Malformed();
    out.table = storage::Table{static_cast<uint8_t>(bytes[0])};
    const size_t length = Get(bytes.substr(1, kKeyLengthBytes));
    bytes.remove_prefix(1 + kKeyLengthBytes);
    if (bytes.size() < length) return Malformed();
    out.key = std::string(bytes.substr(0, length));
    out.value = std::string(bytes.substr(length));
    return out;
  }
  const bool trim = frame.kind == 'T';
  if (!trim && frame.kind != 'E') return Malformed();
  if (bytes.size() < 2 * kNumberBytes) return Malformed();
  out.kind = trim ? TenantItem::Kind::kTrim : TenantItem::Kind::kEntry;
  out.log = Get(bytes.substr(0, kNumberBytes));
  out.offset = Get(bytes.substr(kNumberBytes, kNumberBytes));
  bytes.remove_prefix(2 * kNumberBytes);
  if (!trim) {
    out.value = std::string(bytes);
    return out;
  }
  if (bytes.size() != kNumberBytes) return Malformed();
  out.end = Get(bytes);
  return out;
}

}  // namespace keystead::copies
