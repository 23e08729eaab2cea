// How trimmed entries leave the disk: RocksDB asks a compaction filter about every key it is about to write
// into a table file, and the filter drops what lies before the first kept entry of its log. So a trim costs
// one small row and no tombstones, and a journal that is trimmed before its write buffer is flushed never
// reaches a table.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/storage/log_store.h"
#include "rocksdb/compaction_filter.h"

namespace keystead::storage {

// The first kept offset of every trimmed log. Only durable trims may be put here: what the filter drops is
// gone. Thread-safe.
class TrimTable {
 public:
  void Set(LogRef log, uint64_t first_kept);
  void Forget(uint32_t tenant);  // before an erased tenant's logs can start again
  void Clear();
  // While a tenant is held, nothing more of it is dropped, nor are files of it unlinked.
  void Hold(uint32_t tenant);
  void Release(uint32_t tenant);
  uint64_t FirstKept(LogRef log) const;

  struct Range {
    LogRef log;
    uint64_t from = 0;
    uint64_t to = 0;  // not included
  };
  // Ranges of at least `min_entries` that were trimmed and not yet taken: whole files of them can be
  // unlinked.
  std::vector<Range> TakeReclaimable(uint64_t min_entries);

 private:
  struct Trimmed {
    uint64_t first_kept = 0;
    uint64_t reclaimed = 0;
  };
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<LogRef, Trimmed> logs_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint32_t, size_t> holds_
      ABSL_GUARDED_BY(mutex_);  // of each tenant, where there are any
};

// Thread-safe; each filter it makes is used by one RocksDB thread.
class TrimFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit TrimFilterFactory(std::shared_ptr<const TrimTable> trims) : trims_(std::move(trims)) {}
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context& context) override;
  bool ShouldFilterTableFileCreation(rocksdb::TableFileCreationReason reason) const override;
  const char* Name() const override { return "keystead.trim"; }

 private:
  std::shared_ptr<const TrimTable> trims_;
};

}  // namespace keystead::storage
