#include "core/storage/tenant_replacement.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/storage/keys.h"
#include "core/storage/rocksdb_options.h"

namespace keystead::storage {

TableReplacement::TableReplacement(Database& database, uint32_t tenant, std::vector<RowRange> stay)
    : database_(database),
      tenant_(tenant),
      stay_(std::move(stay)),
      rows_path_(database.NewReplacementPath("rows")),
      entries_path_(database.NewReplacementPath("entries")) {}

absl::StatusOr<std::unique_ptr<TableReplacement>> TableReplacement::Begin(Database& database, uint32_t tenant,
                                                                          std::vector<RowRange> stay) {
  const auto begin_of = [tenant](const RowRange& range) { return RowKey(tenant, range.table, range.prefix); };
  std::sort(stay.begin(), stay.end(),
            [&](const RowRange& a, const RowRange& b) { return begin_of(a) < begin_of(b); });
  std::unique_ptr<TableReplacement> out(new TableReplacement(database, tenant, std::move(stay)));
  KS_RETURN_IF_ERROR(out->Open());
  return out;
}

TableReplacement::~TableReplacement() {
  rows_.reset();
  entries_.reset();
  for (const std::string& path : {rows_path_, entries_path_})
    database_.Env()->DeleteFile(path).PermitUncheckedError();  // gone already where it was taken in
}

absl::Status TableReplacement::Open() {
  const rocksdb::DBOptions db = MakeDbOptions(database_.options_, database_.Env());
  rows_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(),
                                                   rocksdb::Options(db, MakeRowsOptions(database_.options_)));
  entries_ = std::make_unique<rocksdb::SstFileWriter>(
      rocksdb::EnvOptions(), rocksdb::Options(db, MakeEntriesOptions(database_.options_, database_.trims_)));
  KS_RETURN_IF_ERROR(database_.Convert(rows_->Open(rows_path_)));
  KS_RETURN_IF_ERROR(database_.Convert(entries_->Open(entries_path_)));
  return DropWhatIsThere();
}

// A tombstone over a range hides what was there before its file was taken in, and nothing of the file itself.
absl::Status TableReplacement::DropWhatIsThere() {
  const std::string end = TenantEndKey(tenant_);
  std::string begin = TenantKey(tenant_);
  KS_RETURN_IF_ERROR(database_.Convert(entries_->DeleteRange(begin, end)));
  for (const RowRange& range : stay_) {
    const std::string stays = RowKey(tenant_, range.table, range.prefix);
    if (begin < stays) KS_RETURN_IF_ERROR(database_.Convert(rows_->DeleteRange(begin, stays)));
    begin = std::max(begin, PrefixEnd(stays));
  }
  return database_.Convert(rows_->DeleteRange(begin, end));
}

bool TableReplacement::Stays(const TenantItem& row) const {
  return std::any_of(stay_.begin(), stay_.end(), [&](const RowRange& range) {
    return range.table == row.table && row.key.starts_with(range.prefix);
  });
}

absl::Status TableReplacement::Add(const TenantItem& item) {
  std::string key;
  std::string trim;
  std::string_view value = item.value;
  switch (item.kind) {
    case TenantItem::Kind::kEntry:
      key = std::string(EntryKey({tenant_, item.log}, item.offset).view());
      break;
    case TenantItem::Kind::kTrim:
      if (item.offset > item.end) return absl::InvalidArgumentError("a log that ends before it begins");
      key = BoundsKey({tenant_, item.log});
      trim = EncodeBounds({item.offset, item.end});
      value = trim;
      trims_.emplace_back(LogRef{tenant_, item.log}, item.offset);
      break;
    case TenantItem::Kind::kRow:
      if (Stays(item)) return absl::InvalidArgumentError("a row of those that stay");
      key = RowKey(tenant_, item.table, item.key);
      break;
  }
  const bool row = item.kind != TenantItem::Kind::kEntry;
  if (row && !rows_begun_) last_.clear();
  if (finished_ || (rows_begun_ && !row) || key <= last_)
    return absl::InvalidArgumentError("an item that is out of order");
  rows_begun_ = row;
  last_ = key;
  return database_.Convert((row ? rows_ : entries_)->Put(key, rocksdb::Slice(value.data(), value.size())));
}

absl::Status TableReplacement::Finish() {
  KS_RETURN_IF_ERROR(database_.Convert(rows_->Finish()));
  KS_RETURN_IF_ERROR(database_.Convert(entries_->Finish()));
  finished_ = true;
  return database_.FlushBeforeReplace();
}

}  // namespace keystead::storage
