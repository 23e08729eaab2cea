#include "backend/backup/restored_rows.h"

#include <algorithm>
#include <utility>

#include "backend/at_rest/row_crypt.h"
#include "backend/backup/store_id.h"
#include "core/base/big_endian.h"
#include "core/base/status.h"
#include "core/transport/record_log_rows.h"

namespace keystead::backend {
namespace {

using storage::TenantItem;

constexpr std::string_view kPendingKey = "pending";
constexpr std::string_view kTopicPrefix = "t";
constexpr size_t kLogBytes = 8;

}  // namespace

std::vector<storage::RowRange> RestoredRows::Staying(const Options& options) {
  std::vector<storage::RowRange> out;
  if (!options.in_place) return out;
  out.push_back({kAuditTable, ""});
  out.push_back({kCountTable, std::string(kAuditState)});
  out.push_back({kRevocationTable, ""});
  out.push_back({kGoneTable, ""});
  out.push_back({kErasingTable, ""});
  if (options.keep_next_log) out.push_back({kTopicTable, std::string(rows::kNextLogKey)});
  return out;
}

bool RestoredRows::Stays(const TenantItem& row) const {
  return std::any_of(staying_.begin(), staying_.end(), [&](const storage::RowRange& range) {
    return range.table == row.table && row.key.starts_with(range.prefix);
  });
}

absl::StatusOr<bool> RestoredRows::IsErased(const at_rest::CompartmentId& compartment) {
  if (compartment == at_rest::CompartmentId()) return false;
  const auto known = erased_.find(compartment);
  if (known != erased_.end()) return known->second;
  const absl::Status salt = keys_->Salt(options_.tenant, compartment, /*create=*/false).status();
  if (!salt.ok() && !absl::IsNotFound(salt)) return salt;
  return erased_[compartment] = !salt.ok();
}

absl::StatusOr<std::optional<TenantItem>> RestoredRows::Take(TenantItem item) {
  switch (item.kind) {
    case TenantItem::Kind::kEntry:
      return TakeEntry(std::move(item));
    case TenantItem::Kind::kTrim:
      return item;
    case TenantItem::Kind::kRow:
      return TakeRow(std::move(item));
  }
  return absl::DataLossError("an item of no kind");
}

absl::StatusOr<std::optional<TenantItem>> RestoredRows::TakeEntry(TenantItem item) {
  const auto compartment = at_rest::CompartmentOfSealed(item.value);
  if (!compartment.has_value()) return absl::DataLossError("an entry that nobody sealed");
  KS_ASSIGN_OR_RETURN(const bool erased, IsErased(*compartment));
  if (erased) {
    dropped_logs_.insert(item.log);
    ++dropped_.groups;
    dropped_.bytes += item.value.size() - at_rest::kSealedOverhead;
    return std::nullopt;
  }
  const std::string aad = at_rest::EntryAad({options_.tenant, item.log}, item.offset);
  KS_RETURN_IF_ERROR(cipher_->Unseal(AsBytes(aad), item.value).status());
  return item;
}

absl::StatusOr<std::optional<TenantItem>> RestoredRows::TakeRow(TenantItem item) {
  if (Stays(item) || item.table == kRestoreTable) return std::nullopt;
  if (item.table == kStreamTable && item.key.size() >= kLogBytes &&
      dropped_logs_.contains(GetNumber(std::string_view(item.key).substr(0, kLogBytes))))
    return std::nullopt;
  const auto compartment = at_rest::CompartmentOfSealed(item.value);
  if (!compartment.has_value()) return absl::DataLossError("a row that nobody sealed");
  const bool first_commit = item.table == kCommitTable && item.key.ends_with(EncodeNumber(0));
  KS_ASSIGN_OR_RETURN(const bool erased, IsErased(*compartment));
  if (first_commit) ++(erased ? left_out_ : instantiations_);
  if (erased) return std::nullopt;
  KS_ASSIGN_OR_RETURN(const storage::Row row,
                      at_rest::UnsealRow(*cipher_, options_.tenant, item.table, item.key, item.value));
  KS_ASSIGN_OR_RETURN(const bool comes_back, ComesBack(item, row));
  if (!comes_back) return std::nullopt;
  KS_RETURN_IF_ERROR(Rewrite(item, row));
  return item;
}

// Rows that are the tenant's as a whole, but about one instantiation.
absl::StatusOr<bool> RestoredRows::ComesBack(const TenantItem& item, const storage::Row& row) {
  if (item.table == kTopicTable && row.key.starts_with(kTopicPrefix)) {
    KS_ASSIGN_OR_RETURN(const TopicPlace place, rows::DecodeTopicKey(options_.tenant, row.key));
    KS_ASSIGN_OR_RETURN(const bool erased, IsErased(cipher_->CompartmentOf(place.instantiation)));
    if (!erased) return true;
    KS_ASSIGN_OR_RETURN(const TopicLog log, rows::DecodeTopicLog(options_.tenant, row.value));
    dropped_logs_.insert(log.ref.log);
    return false;
  }
  std::optional<InstantiationId> about;
  if (item.table == kDeviceTable) {
    KS_ASSIGN_OR_RETURN(const DeviceRow device, DecodeDevice(row.value));
    about = device.instantiation;
  }
  if (item.table == kEvictedTable && row.key.size() >= InstantiationId::kSize) {
    KS_ASSIGN_OR_RETURN(
        about, InstantiationId::FromBytes(std::string_view(row.key).substr(0, InstantiationId::kSize)));
  }
  if (!about.has_value()) return true;
  KS_ASSIGN_OR_RETURN(const bool erased, IsErased(cipher_->CompartmentOf(*about)));
  return !erased;
}

absl::Status RestoredRows::Rewrite(TenantItem& item, const storage::Row& row) {
  std::string value;
  if (item.table == kTopicTable && row.key.starts_with(kTopicPrefix)) {
    KS_ASSIGN_OR_RETURN(TopicLog log, rows::DecodeTopicLog(options_.tenant, row.value));
    log.id = RandomSource::System().NewId<LogId>();
    value = rows::EncodeTopicLog(log);
  } else if (item.table == kCountTable && row.key == kInstantiationCount) {
    value = EncodeNumber(instantiations_);
  } else if (item.table == kUsageTable && row.key == kStoredUsage) {
    KS_ASSIGN_OR_RETURN(usage_, DecodeUsage(row.value));
    usage_.groups -= std::min(usage_.groups, dropped_.groups);
    usage_.bytes -= std::min(usage_.bytes, dropped_.bytes);
    value = EncodeUsage(usage_);
  } else {
    return absl::OkStatus();
  }
  const at_rest::MaskedKey masked{item.key, std::nullopt};  // none of these is an instantiation's own
  KS_ASSIGN_OR_RETURN(item.value,
                      at_rest::SealRow(*cipher_, options_.tenant, item.table, masked, row.key, value));
  return absl::OkStatus();
}

absl::StatusOr<TenantItem> RestoredRows::Pending(std::string_view what) const {
  KS_ASSIGN_OR_RETURN(const at_rest::MaskedKey masked, at_rest::Masked(*cipher_, kRestoreTable, kPendingKey));
  TenantItem item{.kind = TenantItem::Kind::kRow, .table = kRestoreTable, .key = masked.bytes};
  KS_ASSIGN_OR_RETURN(item.value,
                      at_rest::SealRow(*cipher_, options_.tenant, kRestoreTable, masked, kPendingKey, what));
  return item;
}

}  // namespace keystead::backend
