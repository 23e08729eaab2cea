// LogStore on one RocksDB: the queue, the writer thread and the housekeeping thread.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/storage/batch.h"
#include "core/storage/database.h"
#include "core/storage/log_directory.h"
#include "core/storage/log_store.h"
#include "core/storage/store_metrics.h"

namespace keystead::storage {

class RocksDbLogStore final : public LogStore {
 public:
  RocksDbLogStore(const Options& options, std::unique_ptr<Database> database);
  ~RocksDbLogStore() override;

  absl::Status Submit(std::unique_ptr<Task> task) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::vector<Entry>> Read(LogRef log, uint64_t from, size_t max_bytes) const override;
  absl::StatusOr<Bounds> GetBounds(LogRef log) const override;
  std::unique_ptr<Watcher> Watch(LogRef log, std::function<void(uint64_t end)> on_commit) override;
  absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, Table table,
                                                 std::string_view key) const override;
  absl::StatusOr<std::vector<Row>> Scan(uint32_t tenant, Table table, const ScanRange& range) const override;
  absl::StatusOr<std::unique_ptr<TenantSnapshot>> SnapshotTenant(uint32_t tenant) override;
  absl::StatusOr<std::unique_ptr<TenantReplacement>> BeginReplacement(uint32_t tenant,
                                                                      std::vector<RowRange> stay) override;
  absl::Status Reclaim(uint32_t tenant) override;
  Stats GetStats() const override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Health() const override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Member {
    std::unique_ptr<Task> task;
    absl::Status status;
  };
  struct Waiting {
    std::unique_ptr<Task> task;
    Stopwatch since;
  };

  void RunWriter() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunHousekeeping() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for tasks; takes up to batch_bytes of them. False when the store closes and nothing is left.
  bool Take(std::vector<Member>& members) ABSL_LOCKS_EXCLUDED(mutex_);
  void CommitTogether(std::vector<Member>& members) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status WriteBatch(bool sync);
  void CommitReplacement(Member& member) ABSL_LOCKS_EXCLUDED(mutex_);
  void Publish(bool synced) ABSL_LOCKS_EXCLUDED(mutex_);
  void Finish(std::vector<Member>& members, const absl::Status& committed);
  void Count(size_t tasks, bool synced, absl::Duration took, const absl::Status& status)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void TryRecovery() ABSL_LOCKS_EXCLUDED(mutex_);
  void CollectMetrics(MetricWriter& out) const ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  const std::unique_ptr<Database> database_;
  LogDirectory directory_;
  Batch batch_;                                           // THREAD: writer
  absl::flat_hash_map<LogRef, uint64_t> unsynced_trims_;  // first entry kept. THREAD: writer
  absl::Time last_recovery_ = absl::InfinitePast();       // THREAD: writer

  mutable absl::Mutex mutex_;
  absl::CondVar work_ ABSL_GUARDED_BY(mutex_);          // the writer waits
  absl::CondVar housekeeping_ ABSL_GUARDED_BY(mutex_);  // the housekeeper waits
  std::deque<Waiting> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queue_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  size_t last_batch_ ABSL_GUARDED_BY(mutex_) = 0;  // tasks in the last commit
  absl::Status health_ ABSL_GUARDED_BY(mutex_);
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint32_t> erased_ ABSL_GUARDED_BY(mutex_);  // whose space is to be given back
  mutable std::atomic<uint64_t> tail_hits_ = 0;
  mutable std::atomic<uint64_t> tail_misses_ = 0;
  std::atomic<bool> stop_reclaiming_ = false;
  StoreTimes times_;
  std::thread housekeeper_;
  std::thread writer_;
  const MetricSource metrics_{[this](MetricWriter& out) { CollectMetrics(out); }};
};

}  // namespace keystead::storage
