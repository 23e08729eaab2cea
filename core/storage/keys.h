// The bytes of every key on disk. Numbers are big-endian, so that bytewise order is numeric order.
//
//   rows family     tenant(4) 0x00 log(8)          bounds of a log that was trimmed: first(8) end(8)
//                   tenant(4) 0x01 table(1) key    a row
//                   ff ff ff ff                    the format row: version(4) name
//   entries family  tenant(4) log(8) offset(8)     an entry
//
// Every key begins with its tenant, so a tenant is one range in each family.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/storage/log_store.h"

namespace keystead::storage {

inline constexpr size_t kTenantBytes = 4;
inline constexpr size_t kLogPrefixBytes = 12;
inline constexpr size_t kEntryKeyBytes = 20;
inline constexpr size_t kRowPrefixBytes = 6;

std::string FormatKey();
std::string EncodeFormat(std::string_view name, uint32_t version);
bool DecodeFormat(std::string_view bytes, std::string* name, uint32_t* version);

std::string TenantKey(uint32_t tenant);     // the first key of the tenant, in both families
std::string TenantEndKey(uint32_t tenant);  // just after its last
std::string BoundsPrefix(uint32_t tenant);
std::string BoundsKey(LogRef log);
std::string EncodeBounds(Bounds bounds);
std::optional<Bounds> DecodeBounds(std::string_view bytes);
std::optional<LogRef> DecodeBoundsKey(std::string_view key);  // nothing when it is another kind of key

std::string RowKey(uint32_t tenant, Table table, std::string_view key);

struct EntryKey {
  char bytes[kEntryKeyBytes];
  EntryKey(LogRef log, uint64_t offset);
  std::string_view view() const { return {bytes, kEntryKeyBytes}; }
};
struct DecodedEntryKey {
  LogRef log;
  uint64_t offset = 0;
};
std::optional<DecodedEntryKey> DecodeEntryKey(std::string_view key);
std::string LogEndKey(LogRef log);  // after every entry the log can have

uint32_t DecodeTenant(std::string_view key);  // key.size() >= kTenantBytes

// The smallest key greater than every key with this prefix; empty when there is none.
std::string PrefixEnd(std::string_view prefix);

}  // namespace keystead::storage
