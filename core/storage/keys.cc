#include "core/storage/keys.h"

namespace keystead::storage {
namespace {

constexpr char kBoundsKind = 0;
constexpr char kRowKind = 1;

void Store(char* to, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) to[i] = static_cast<char>(value >> (8 * (size - 1 - i)));
}

void Append(std::string& to, uint64_t value, size_t size) {
  char bytes[8];
  Store(bytes, value, size);
  to.append(bytes, size);
}

uint64_t Load(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

std::string FormatKey() { return "\xff\xff\xff\xff"; }

std::string EncodeFormat(std::string_view name, uint32_t version) {
  std::string out;
  Append(out, version, 4);
  return out.append(name);
}

bool DecodeFormat(std::string_view bytes, std::string* name, uint32_t* version) {
  if (bytes.size() < 4) return false;
  *version = static_cast<uint32_t>(Load(bytes.substr(0, 4)));
  *name = std::string(bytes.substr(4));
  return true;
}

std::string TenantKey(uint32_t tenant) {
  std::string out;
  Append(out, tenant, kTenantBytes);
  return out;
}

std::string TenantEndKey(uint32_t tenant) { return TenantKey(tenant + 1); }

std::string BoundsPrefix(uint32_t tenant) { return TenantKey(tenant) + kBoundsKind; }

std::string BoundsKey(LogRef log) {
  std::string out = BoundsPrefix(log.tenant);
  Append(out, log.log, 8);
  return out;
}

std::string EncodeBounds(Bounds bounds) {
  std::string out;
  Append(out, bounds.first, 8);
  Append(out, bounds.end, 8);
  return out;
}

std::optional<Bounds> DecodeBounds(std::string_view bytes) {
  if (bytes.size() != 16) return std::nullopt;
  const Bounds bounds{Load(bytes.substr(0, 8)), Load(bytes.substr(8))};
  if (bounds.first > bounds.end) return std::nullopt;
  return bounds;
}

std::optional<LogRef> DecodeBoundsKey(std::string_view key) {
  if (key.size() != kTenantBytes + 1 + 8 || key[kTenantBytes] != kBoundsKind) return std::nullopt;
  return LogRef{DecodeTenant(key), Load(key.substr(kTenantBytes + 1))};
}

std::string RowKey(uint32_t tenant, Table table, std::string_view key) {
  std::string out;
  out.reserve(kRowPrefixBytes + key.size());
  Append(out, tenant, kTenantBytes);
  out += kRowKind;
  out += static_cast<char>(table);
  return out.append(key);
}

EntryKey::EntryKey(LogRef log, uint64_t offset) {
  Store(bytes, log.tenant, kTenantBytes);
  Store(bytes + kTenantBytes, log.log, 8);
  Store(bytes + kLogPrefixBytes, offset, 8);
}

std::optional<DecodedEntryKey> DecodeEntryKey(std::string_view key) {
  if (key.size() != kEntryKeyBytes) return std::nullopt;
  return DecodedEntryKey{{DecodeTenant(key), Load(key.substr(kTenantBytes, 8))},
                         Load(key.substr(kLogPrefixBytes))};
}

std::string LogEndKey(LogRef log) { return PrefixEnd(EntryKey(log, 0).view().substr(0, kLogPrefixBytes)); }

uint32_t DecodeTenant(std::string_view key) {
  return static_cast<uint32_t>(Load(key.substr(0, kTenantBytes)));
}

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return end;
}

}  // namespace keystead::storage
