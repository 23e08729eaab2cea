// The reading half of Database, and its housekeeping.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/storage/database.h"
#include "core/storage/keys.h"
#include "rocksdb/convenience.h"
#include "rocksdb/snapshot.h"

namespace keystead::storage {
namespace {

constexpr uint64_t kReclaimEntries = 1024;  // fewer do not fill a file

}  // namespace

absl::StatusOr<std::optional<std::string>> Database::GetRow(uint32_t tenant, Table table,
                                                            std::string_view key) const {
  absl::ReaderMutexLock lock(&mutex_);
  if (db_ == nullptr) return Closed();
  std::string value;
  const rocksdb::Status status = db_->Get({}, rows_, RowKey(tenant, table, key), &value);
  if (status.IsNotFound()) return std::nullopt;
  KS_RETURN_IF_ERROR(Convert(status));
  return value;
}

absl::StatusOr<std::vector<Row>> Database::ScanRows(uint32_t tenant, Table table,
                                                    const ScanRange& range) const {
  absl::ReaderMutexLock lock(&mutex_);
  if (db_ == nullptr) return Closed();
  const std::string begin = RowKey(tenant, table, std::max(range.prefix, range.after));
  const std::string after = RowKey(tenant, table, range.after);
  const std::string end = PrefixEnd(RowKey(tenant, table, range.prefix));
  const rocksdb::Slice bound(end);
  rocksdb::ReadOptions read;
  if (!end.empty()) read.iterate_upper_bound = &bound;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read, rows_));
  std::vector<Row> rows;
  for (it->Seek(begin); it->Valid() && rows.size() < range.max_rows; it->Next()) {
    if (!range.after.empty() && it->key() == after) continue;
    rows.push_back({std::string(it->key().ToStringView().substr(kRowPrefixBytes)), it->value().ToString()});
  }
  KS_RETURN_IF_ERROR(Convert(it->status()));
  return rows;
}

absl::StatusOr<Bounds> Database::LoadBounds(LogRef log) const {
  absl::ReaderMutexLock lock(&mutex_);
  return LoadBoundsLocked(log);
}

absl::StatusOr<Bounds> Database::LoadBoundsLocked(LogRef log) const {
  if (db_ == nullptr) return Closed();
  Bounds bounds;
  std::string row;
  // One view for both reads: a trim between them would tear them apart.
  rocksdb::ManagedSnapshot snapshot(db_.get());
  rocksdb::ReadOptions read;
  read.snapshot = snapshot.snapshot();
  const rocksdb::Status status = db_->Get(read, rows_, BoundsKey(log), &row);
  if (status.ok()) {
    const std::optional<Bounds> decoded = DecodeBounds(row);
    if (!decoded)
      return absl::DataLossError(absl::StrCat("store ", options_.path, " is damaged: bounds of a log"));
    bounds = *decoded;
  } else if (!status.IsNotFound()) {
    return Convert(status);
  }
  const EntryKey first(log, 0);
  const std::string end = LogEndKey(log);
  const rocksdb::Slice lower(first.view());
  const rocksdb::Slice upper(end);
  read.iterate_lower_bound = &lower;
  if (!end.empty()) read.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read, entries_));
  it->SeekToLast();
  if (it->Valid()) {
    const std::optional<DecodedEntryKey> last = DecodeEntryKey(it->key().ToStringView());
    if (last) bounds.end = std::max(bounds.end, last->offset + 1);
  }
  KS_RETURN_IF_ERROR(Convert(it->status()));
  return bounds;
}

absl::StatusOr<std::vector<Entry>> Database::ReadEntries(LogRef log, std::optional<Bounds> known,
                                                         uint64_t from, size_t max_bytes) const {
  absl::ReaderMutexLock lock(&mutex_);
  if (db_ == nullptr) return Closed();
  const bool fresh = !known;
  if (!known) {
    KS_ASSIGN_OR_RETURN(known, LoadBoundsLocked(log));
  }
  if (from < known->first) return absl::NotFoundError(absl::StrCat("trimmed up to offset ", known->first));
  if (from > known->end) return absl::OutOfRangeError(absl::StrCat("the log ends at offset ", known->end));
  std::vector<Entry> entries;
  if (from == known->end) return entries;

  const std::string end = LogEndKey(log);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions read;
  if (!end.empty()) read.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read, entries_));
  size_t bytes = 0;
  for (it->Seek(EntryKey(log, from).view()); it->Valid(); it->Next()) {
    const std::optional<DecodedEntryKey> key = DecodeEntryKey(it->key().ToStringView());
    if (!key || key->offset != from + entries.size()) break;
    bytes += it->value().size();
    if (bytes > max_bytes && !entries.empty()) break;
    entries.push_back({key->offset, std::make_shared<const std::string>(it->value().ToStringView())});
    if (bytes >= max_bytes) break;
  }
  KS_RETURN_IF_ERROR(Convert(it->status()));
  if (!entries.empty()) return entries;
  // Nothing at a place that the bounds promised: trimmed since they were read, or damage.
  if (!fresh) {
    KS_ASSIGN_OR_RETURN(const Bounds now, LoadBoundsLocked(log));
    if (from < now.first) return absl::NotFoundError(absl::StrCat("trimmed up to offset ", now.first));
    if (from > now.end) return absl::OutOfRangeError(absl::StrCat("the log ends at offset ", now.end));
    if (from == now.end) return entries;
  }
  return absl::DataLossError(absl::StrCat(
      "store ", options_.path, " is damaged: restore it from a backup (offset ", from, " is missing)"));
}

void Database::ReclaimTenant(uint32_t tenant, std::atomic<bool>& stop) {
  absl::ReaderMutexLock lock(&mutex_);
  if (db_ == nullptr) return;
  const std::string begin = TenantKey(tenant);
  const std::string end = TenantEndKey(tenant);
  const rocksdb::Slice from(begin);
  const rocksdb::Slice to(end);
  for (rocksdb::ColumnFamilyHandle* family : {rows_, entries_}) {
    rocksdb::CompactRangeOptions compact;
    compact.canceled = &stop;
    compact.exclusive_manual_compaction = false;
    compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    // A failure here costs space, not correctness; the same files are met again by ordinary compaction.
    db_->CompactRange(compact, family, &from, &to).PermitUncheckedError();
  }
}

void Database::ReclaimTrimmed() {
  absl::MutexLock reclaiming(&reclaiming_);
  const std::vector<TrimTable::Range> trimmed = trims_->TakeReclaimable(kReclaimEntries);
  if (trimmed.empty()) return;
  std::vector<std::pair<EntryKey, EntryKey>> keys;
  keys.reserve(trimmed.size());
  for (const TrimTable::Range& range : trimmed) {
    keys.emplace_back(EntryKey(range.log, range.from), EntryKey(range.log, range.to));
  }
  std::vector<rocksdb::Slice> slices;
  slices.reserve(2 * keys.size());
  std::vector<rocksdb::RangePtr> ranges;
  for (const auto& [from, to] : keys) {
    slices.emplace_back(from.view());
    slices.emplace_back(to.view());
    ranges.emplace_back(&slices[slices.size() - 2], &slices[slices.size() - 1]);
  }
  absl::ReaderMutexLock lock(&mutex_);
  if (db_ == nullptr) return;
  rocksdb::DeleteFilesInRanges(db_.get(), entries_, ranges.data(), ranges.size(), /*include_end=*/false)
      .PermitUncheckedError();
}

uint64_t Database::DiskBytes() const {
  absl::ReaderMutexLock lock(&mutex_);
  uint64_t total = 0;
  if (db_ == nullptr) return total;
  for (rocksdb::ColumnFamilyHandle* family : {rows_, entries_}) {
    for (const std::string& property :
         {rocksdb::DB::Properties::kTotalSstFilesSize, rocksdb::DB::Properties::kTotalBlobFileSize}) {
      uint64_t bytes = 0;
      if (db_->GetIntProperty(family, property, &bytes)) total += bytes;
    }
  }
  return total;
}

}  // namespace keystead::storage
