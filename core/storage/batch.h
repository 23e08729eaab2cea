// The open batch: what the tasks of one commit have written so far, as RocksDB will get it and as the next
// task has to see it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/node_hash_map.h"
#include "core/storage/database.h"
#include "core/storage/log_directory.h"
#include "core/storage/log_store.h"
#include "rocksdb/write_batch.h"

namespace keystead::storage {

// THREAD: writer.
class Batch final : public Transaction {
 public:
  Batch(const Database& database, const LogDirectory& directory)
      : database_(database), directory_(directory) {}

  // Around the Prepare() of each task: one of the two ends.
  void BeginTask();
  void KeepTask();
  void RollBackTask();

  absl::StatusOr<uint64_t> Append(LogRef log, Payload bytes) override;
  absl::StatusOr<Bounds> GetBounds(LogRef log) override;
  absl::Status Trim(LogRef log, uint64_t first_kept) override;
  absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, Table table, std::string_view key) override;
  void Put(uint32_t tenant, Table table, std::string_view key, std::string_view value) override;
  void Delete(uint32_t tenant, Table table, std::string_view key) override;
  absl::StatusOr<std::vector<Row>> Scan(uint32_t tenant, Table table, const ScanRange& range) override;
  void EraseTenant(uint32_t tenant) override;

  bool empty() const { return writes_.Count() == 0; }
  rocksdb::WriteBatch& writes() { return writes_; }
  std::vector<uint32_t> erased_tenants() const { return {state_.erased.begin(), state_.erased.end()}; }
  uint64_t entries() const { return entries_; }
  uint64_t entry_bytes() const { return entry_bytes_; }
  std::vector<std::pair<LogRef, uint64_t>> Trims() const;  // log and first kept offset
  std::vector<LogChange> TakeChanges();

  void Clear();  // ready for the next commit; keeps its memory

 private:
  struct PendingLog {
    Bounds bounds;
    std::vector<Payload> appended;
    bool trimmed = false;
    uint64_t task = 0;  // the last task with an entry in undo_logs_
  };
  struct State {
    absl::node_hash_map<LogRef, PendingLog> logs;
    absl::btree_map<std::string, std::optional<std::string>> rows;  // nothing: deleted
    absl::btree_set<uint32_t> erased;
  };
  struct UndoLog {
    LogRef log;
    Bounds bounds;
    size_t appended = 0;
    bool trimmed = false;
  };
  struct UndoRow {
    std::string key;
    bool present = false;
    std::optional<std::string> value;
  };

  absl::StatusOr<PendingLog*> Find(LogRef log);    // to read
  absl::StatusOr<PendingLog*> Change(LogRef log);  // to write: can be undone
  void SetRow(std::string key, std::optional<std::string> value);

  const Database& database_;
  const LogDirectory& directory_;
  rocksdb::WriteBatch writes_;
  State state_;
  uint64_t entries_ = 0;
  uint64_t entry_bytes_ = 0;
  LogRef last_ref_;
  PendingLog* last_log_ = nullptr;  // most tasks append to one log

  // Of the open task.
  uint64_t task_ = 0;
  uint64_t entries_before_ = 0;
  uint64_t entry_bytes_before_ = 0;
  std::vector<UndoLog> undo_logs_;
  std::vector<UndoRow> undo_rows_;
  std::optional<State> before_erase_;  // the undo lists lead from here to where the task began
};

}  // namespace keystead::storage
