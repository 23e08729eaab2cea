#include "backend/at_rest/key_shapes.h"

#include "backend/rows.h"
#include "core/transport/record_log.h"

namespace keystead::backend::at_rest {
namespace {

using Kind = KeySegment::Kind;

constexpr size_t kStreamBytes = 40;  // sender, epoch, stream
constexpr KeySegment kNumbers[] = {{Kind::kClear, 0}};
constexpr KeySegment kOneName[] = {{Kind::kName, 0}};
// Topics and evictions are the tenant's: only what AppendToKeyring and Publish have stored a group of before
// may need a new salt, because a Put cannot say that there is none.
constexpr KeySegment kTopic[] = {{Kind::kClear, 1}, {Kind::kName, InstantiationId::kSize}, {Kind::kName, 0}};
constexpr KeySegment kOfStream[] = {{Kind::kClear, 9}, {Kind::kName, kStreamBytes}, {Kind::kClear, 0}};
constexpr KeySegment kOfInstantiation[] = {{Kind::kInstantiation, InstantiationId::kSize}, {Kind::kClear, 0}};
constexpr KeySegment kEvicted[] = {{Kind::kName, InstantiationId::kSize}, {Kind::kName, 0}};

std::span<const KeySegment> OfLog(std::string_view key) {
  const char kind = key.size() > 8 ? key[8] : '\0';
  if (kind == 's' || kind == 'p' || kind == 'l') return kOfStream;
  return kNumbers;  // 'h', 'c', and the number of a log alone
}

}  // namespace

std::span<const KeySegment> ShapeOf(storage::Table table, std::string_view key) {
  if (table == kTopicTable) {
    if (key.starts_with('t')) return kTopic;
    return kNumbers;
  }
  if (table == kStreamTable) return OfLog(key);
  if (table == kCommitTable) return kOfInstantiation;
  if (table == kEvictedTable) return kEvicted;
  if (table == kCountTable || table == kUsageTable || table == kAuditTable) return kNumbers;
  return kOneName;  // kDeviceTable, and what nobody thought of
}

}  // namespace keystead::backend::at_rest
