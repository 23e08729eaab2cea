#include "core/storage/tenant_snapshot.h"

#include <optional>
#include <utility>

#include "core/base/status.h"
#include "core/storage/keys.h"

namespace keystead::storage {
namespace {

constexpr size_t kItemOverheadBytes = 64;

absl::Status GivenUp() {
  return absl::AbortedError("a tenant was erased meanwhile, or the disk failed: begin again");
}

absl::Status Damaged() { return absl::DataLossError("the store holds a key that it does not write"); }

}  // namespace

void DatabaseSnapshot::Page::Add(TenantItem item) {
  bytes += item.key.size() + item.value.size() + kItemOverheadBytes;
  items.push_back(std::move(item));
}

DatabaseSnapshot::DatabaseSnapshot(Database& database, uint32_t tenant)
    : database_(database), tenant_(tenant), next_(TenantKey(tenant)) {}

// Trims are held before the snapshot is taken: what was dropped until then it does not promise.
absl::StatusOr<std::unique_ptr<TenantSnapshot>> DatabaseSnapshot::Take(Database& database, uint32_t tenant) {
  std::unique_ptr<DatabaseSnapshot> out(new DatabaseSnapshot(database, tenant));
  database.trims_->Hold(tenant);
  absl::ReaderMutexLock lock(&database.mutex_);
  absl::MutexLock registering(&database.snapshots_mutex_);
  database.snapshots_.insert(out.get());
  if (database.db_ == nullptr) return database.Closed();
  absl::MutexLock own(&out->mutex_);
  out->snapshot_ = database.db_->GetSnapshot();
  return std::unique_ptr<TenantSnapshot>(std::move(out));
}

DatabaseSnapshot::~DatabaseSnapshot() {
  {
    absl::ReaderMutexLock lock(&database_.mutex_);
    {
      absl::MutexLock registering(&database_.snapshots_mutex_);
      database_.snapshots_.erase(this);
    }
    if (database_.db_ != nullptr) GiveUp(*database_.db_);
  }
  database_.trims_->Release(tenant_);
}

void DatabaseSnapshot::GiveUp(rocksdb::DB& db) {
  absl::MutexLock lock(&mutex_);
  if (snapshot_ != nullptr) db.ReleaseSnapshot(std::exchange(snapshot_, nullptr));
}

absl::StatusOr<std::vector<TenantItem>> DatabaseSnapshot::Next(size_t max_bytes) {
  absl::ReaderMutexLock lock(&database_.mutex_);
  absl::MutexLock own(&mutex_);
  if (snapshot_ == nullptr) return GivenUp();
  Page page{.items = {}, .bytes = 0, .max_bytes = max_bytes};
  if (!entries_done_) KS_RETURN_IF_ERROR(ReadEntries(page));
  if (entries_done_ && !rows_done_ && !page.full()) KS_RETURN_IF_ERROR(ReadRows(page));
  return std::move(page.items);
}

absl::StatusOr<uint64_t> DatabaseSnapshot::FirstKept(LogRef log) const ABSL_NO_THREAD_SAFETY_ANALYSIS {
  rocksdb::ReadOptions read;
  read.snapshot = snapshot_;
  std::string row;
  const rocksdb::Status status = database_.db_->Get(read, database_.rows_, BoundsKey(log), &row);
  if (status.IsNotFound()) return 0;
  KS_RETURN_IF_ERROR(database_.Convert(status));
  const std::optional<Bounds> bounds = DecodeBounds(row);
  if (!bounds.has_value()) return Damaged();
  return bounds->first;
}

absl::Status DatabaseSnapshot::ReadEntries(Page& page) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const std::string end = TenantEndKey(tenant_);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions read;
  read.snapshot = snapshot_;
  read.iterate_upper_bound = &upper;
  read.fill_cache = false;  // others' blocks are worth more
  const std::unique_ptr<rocksdb::Iterator> it(database_.db_->NewIterator(read, database_.entries_));
  std::optional<LogRef> log;
  uint64_t first = 0;
  it->Seek(next_);
  while (it->Valid() && !page.full()) {
    const std::optional<DecodedEntryKey> key = DecodeEntryKey(it->key().ToStringView());
    if (!key.has_value()) return Damaged();
    if (log != key->log) {
      log = key->log;
      KS_ASSIGN_OR_RETURN(first, FirstKept(*log));
    }
    if (key->offset < first) {
      it->Seek(EntryKey(*log, first).view());
      continue;
    }
    page.Add({.kind = TenantItem::Kind::kEntry,
              .log = key->log.log,
              .offset = key->offset,
              .value = it->value().ToString()});
    it->Next();
  }
  KS_RETURN_IF_ERROR(database_.Convert(it->status()));
  entries_done_ = !it->Valid();
  next_ = entries_done_ ? TenantKey(tenant_) : it->key().ToString();
  return absl::OkStatus();
}

absl::Status DatabaseSnapshot::ReadRows(Page& page) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const std::string end = TenantEndKey(tenant_);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions read;
  read.snapshot = snapshot_;
  read.iterate_upper_bound = &upper;
  read.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(database_.db_->NewIterator(read, database_.rows_));
  for (it->Seek(next_); it->Valid() && !page.full(); it->Next()) {
    const std::string_view key = it->key().ToStringView();
    if (const std::optional<LogRef> log = DecodeBoundsKey(key)) {
      const std::optional<Bounds> bounds = DecodeBounds(it->value().ToStringView());
      if (!bounds.has_value()) return Damaged();
      page.Add(
          {.kind = TenantItem::Kind::kTrim, .log = log->log, .offset = bounds->first, .end = bounds->end});
      continue;
    }
    if (key.size() < kRowPrefixBytes) return Damaged();
    page.Add({.kind = TenantItem::Kind::kRow,
              .table = Table{static_cast<uint8_t>(key[kRowPrefixBytes - 1])},
              .key = std::string(key.substr(kRowPrefixBytes)),
              .value = it->value().ToString()});
  }
  KS_RETURN_IF_ERROR(database_.Convert(it->status()));
  rows_done_ = !it->Valid();
  if (!rows_done_) next_ = it->key().ToString();
  return absl::OkStatus();
}

}  // namespace keystead::storage
