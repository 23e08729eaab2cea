// The RocksDB below the store: opening it, reading it, writing batches, and getting well again after the disk
// failed.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "core/storage/log_store.h"
#include "core/storage/trim_filter.h"
#include "core/storage/wal_file_system.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"

namespace keystead::storage {

class DatabaseSnapshot;
class TableReplacement;

// Reads may come from every thread; the functions marked THREAD: writer from one.
class Database {
 public:
  static absl::StatusOr<std::unique_ptr<Database>> Open(const Options& options);
  ~Database();

  // All or nothing, and after a failure every further write fails until Recover() succeeds. A failed batch is
  // taken back out of the write-ahead log at once, so that no restart brings it back. THREAD: writer.
  absl::Status Write(rocksdb::WriteBatch& batch, bool sync) ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes durable what was written without sync. THREAD: writer.
  absl::Status Sync() ABSL_LOCKS_EXCLUDED(mutex_);
  bool failed() const { return failed_; }  // THREAD: writer
  // Opens the database anew once the disk takes writes again. Until then reads go on as before. THREAD:
  // writer.
  absl::Status Recover() ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<std::optional<std::string>> GetRow(uint32_t tenant, Table table, std::string_view key) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::vector<Row>> ScanRows(uint32_t tenant, Table table, const ScanRange& range) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Bounds> LoadBounds(LogRef log) const ABSL_LOCKS_EXCLUDED(mutex_);
  // See LogStore::Read. `known` are the bounds if the caller knows them.
  absl::StatusOr<std::vector<Entry>> ReadEntries(LogRef log, std::optional<Bounds> known, uint64_t from,
                                                 size_t max_bytes) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives disk space back: of an erased tenant everything, at the cost of a compaction; of trimmed logs whole
  // files. Housekeeping, on a thread that may wait; ends early when `stop` becomes true.
  void ReclaimTenant(uint32_t tenant, std::atomic<bool>& stop) ABSL_LOCKS_EXCLUDED(mutex_);
  void ReclaimTrimmed() ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t DiskBytes() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The tenant has what `with`, which is finished, holds instead of what it had, durably, or still what it
  // had. When it fails, which of the two the next Recover() says. THREAD: writer.
  absl::Status Replace(const TableReplacement& with) ABSL_LOCKS_EXCLUDED(mutex_);
  // The snapshots that there are answer ABORTED from now on, and hold no files back.
  void EndSnapshots() ABSL_LOCKS_EXCLUDED(mutex_);

  // Entries family for WriteBatch. THREAD: writer, and not across Recover().
  rocksdb::ColumnFamilyHandle* rows() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return rows_; }
  rocksdb::ColumnFamilyHandle* entries() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return entries_; }
  TrimTable& trims() { return *trims_; }

 private:
  friend class DatabaseSnapshot;
  friend class TableReplacement;

  explicit Database(const Options& options);

  absl::Status CheckDirectory() const;
  absl::Status OpenRocksDb(bool flush) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckFormat() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status LoadTrims() ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void CloseRocksDb() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Probe() const;
  void NoteFailure(WalFileSystem::Position before) ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  rocksdb::Status CutWal() const;
  absl::Status SyncWals() const;
  rocksdb::Env* Env() const { return env_.get(); }
  absl::Status Convert(const rocksdb::Status& status) const;
  absl::Status Closed() const;
  absl::StatusOr<Bounds> LoadBoundsLocked(LogRef log) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  std::string NewReplacementPath(std::string_view what) const;
  absl::Status RemoveReplacements() const;
  absl::Status FlushBeforeReplace() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndSnapshotsLocked() ABSL_SHARED_LOCKS_REQUIRED(mutex_) ABSL_LOCKS_EXCLUDED(snapshots_mutex_);

  const Options options_;
  const std::shared_ptr<WalFileSystem> fs_;
  const std::unique_ptr<rocksdb::Env> env_;  // with fs_
  const std::shared_ptr<TrimTable> trims_ = std::make_shared<TrimTable>();
  mutable absl::Mutex mutex_;  // held shared by every use of the database, exclusively to open it anew
  std::unique_ptr<rocksdb::DB> db_ ABSL_GUARDED_BY(mutex_);  // null only when opening it anew failed
  rocksdb::ColumnFamilyHandle* rows_ ABSL_GUARDED_BY(mutex_) = nullptr;
  rocksdb::ColumnFamilyHandle* entries_ ABSL_GUARDED_BY(mutex_) = nullptr;
  mutable std::atomic<uint64_t> replacements_ = 0;       // begun: they have names of their own
  absl::Mutex reclaiming_ ABSL_ACQUIRED_BEFORE(mutex_);  // what was trimmed stays so while files are unlinked
  absl::Mutex snapshots_mutex_ ABSL_ACQUIRED_AFTER(mutex_);
  absl::flat_hash_set<DatabaseSnapshot*> snapshots_ ABSL_GUARDED_BY(snapshots_mutex_);
  // THREAD: writer.
  bool failed_ = false;
  bool unsynced_ = false;
  std::string cut_path_;  // of the log file that ends in a failed batch; empty if none does
  uint64_t cut_size_ = 0;
};

}  // namespace keystead::storage
