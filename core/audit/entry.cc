#include "core/audit/entry.h"

#include <algorithm>

#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/crypto/hash.h"

namespace keystead::audit {
namespace {

constexpr uint64_t kFields = 7;

bool IsPlain(char c) { return c >= ' ' && c <= '~'; }

std::string Plain(std::string_view text, size_t max) {
  std::string out(text.substr(0, max));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return !IsPlain(c); }, '?');
  return out;
}

absl::Status ReadPlain(cose::CborReader& reader, size_t max, std::string& out) {
  KS_ASSIGN_OR_RETURN(const std::string_view text, reader.ReadText());
  if (text.size() > max || !std::ranges::all_of(text, IsPlain))
    return absl::InvalidArgumentError("a text that no entry has");
  out = std::string(text);
  return absl::OkStatus();
}

}  // namespace

Bytes EncodeEntry(const Entry& entry) {
  const int64_t micros = absl::ToUnixMicros(entry.time);
  return cose::EncodeArray(
      entry.sequence, static_cast<uint64_t>(std::max<int64_t>(micros, 0)),
      Plain(entry.event.actor, kMaxActorBytes), Plain(entry.event.action, kMaxActionBytes),
      Plain(entry.event.object, kMaxObjectBytes), Plain(entry.event.detail, kMaxDetailBytes), entry.previous);
}

absl::StatusOr<Entry> ParseEntry(ByteView bytes) {
  if (bytes.size() > kMaxEntryBytes) return absl::InvalidArgumentError("longer than an entry can be");
  cose::CborReader reader(bytes);
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(kFields));
  Entry entry;
  KS_ASSIGN_OR_RETURN(entry.sequence, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(const uint64_t micros, reader.ReadUint());
  if (micros > INT64_MAX) return absl::InvalidArgumentError("a time that no entry has");
  entry.time = absl::FromUnixMicros(static_cast<int64_t>(micros));
  KS_RETURN_IF_ERROR(ReadPlain(reader, kMaxActorBytes, entry.event.actor));
  KS_RETURN_IF_ERROR(ReadPlain(reader, kMaxActionBytes, entry.event.action));
  KS_RETURN_IF_ERROR(ReadPlain(reader, kMaxObjectBytes, entry.event.object));
  KS_RETURN_IF_ERROR(ReadPlain(reader, kMaxDetailBytes, entry.event.detail));
  KS_ASSIGN_OR_RETURN(entry.previous, reader.ReadId<Digest>());
  KS_RETURN_IF_ERROR(reader.Finish());
  return entry;
}

Digest HashEntry(const TenantName& tenant, ByteView bytes) {
  return crypto::Sha256(cose::EncodeArray("ks1 audit-entry", tenant, bytes));
}

}  // namespace keystead::audit
