// TenantSnapshot on a snapshot of RocksDB.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/storage/database.h"
#include "core/storage/tenant_copy.h"

namespace keystead::storage {

class DatabaseSnapshot final : public TenantSnapshot {
 public:
  // UNAVAILABLE: the disk fails. While it lives the tenant's trimmed entries stay on the disk.
  static absl::StatusOr<std::unique_ptr<TenantSnapshot>> Take(Database& database, uint32_t tenant);
  ~DatabaseSnapshot() override;

  absl::StatusOr<std::vector<TenantItem>> Next(size_t max_bytes) override;

 private:
  friend class Database;
  DatabaseSnapshot(Database& database, uint32_t tenant);
  void GiveUp(rocksdb::DB& db) ABSL_LOCKS_EXCLUDED(mutex_);

  struct Page {
    std::vector<TenantItem> items;
    size_t bytes = 0;
    size_t max_bytes = 0;
    void Add(TenantItem item);
    bool full() const { return bytes >= max_bytes; }
  };
  absl::Status ReadEntries(Page& page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ReadRows(Page& page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<uint64_t> FirstKept(LogRef log) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Database& database_;
  const uint32_t tenant_;
  mutable absl::Mutex mutex_;  // taken while the database's is held
  const rocksdb::Snapshot* snapshot_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool entries_done_ ABSL_GUARDED_BY(mutex_) = false;
  bool rows_done_ ABSL_GUARDED_BY(mutex_) = false;
  std::string next_ ABSL_GUARDED_BY(mutex_);  // key to go on with
};

}  // namespace keystead::storage
