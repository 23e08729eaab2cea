// A durable store of many logs and small rows with one writer, for every process that must not lose what it
// acknowledged: the backend's topics, the gateway's queue, the journals of simulated devices.
//
// The interface is kept to what a distributed engine can also offer: append a batch to logs, read a log from
// an offset, watch a log, compare and set a small row, erase a tenant. The implementation is one RocksDB
// whose writer thread commits everything that has queued with one write and one fsync (docs/architecture.md).
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/storage/tenant_copy.h"

namespace rocksdb {
class FileSystem;
}

namespace keystead::storage {

// A log by numbers that the user of the store assigns. Every key on disk begins with the tenant; tenant
// 0xffffffff is the store's own.
struct LogRef {
  uint32_t tenant = 0;
  uint64_t log = 0;
  auto operator<=>(const LogRef&) const = default;
  template <class H>
  friend H AbslHashValue(H h, const LogRef& ref) {
    return H::combine(std::move(h), ref.tenant, ref.log);
  }
};

// A small key-value table; the user of the store numbers its tables 0 to 255.
enum class Table : uint8_t {};

// Shared, so that live readers and the tail cache need no copies. Never null.
using Payload = std::shared_ptr<const std::string>;

struct Entry {
  uint64_t offset = 0;  // 0, 1, 2, … within its log
  Payload bytes;
};

struct Row {
  std::string key;  // without tenant and table
  std::string value;
};

// What a log holds: the entries first, first + 1, … end - 1. Empty when first == end. A log nobody has
// written to is {0, 0}: logs need not be created.
struct Bounds {
  uint64_t first = 0;
  uint64_t end = 0;
  bool operator==(const Bounds&) const = default;
};

enum class Durability {
  kSynced,    // Done(OK) means: survives the loss of power
  kBuffered,  // Done(OK) means: survives the end of the process. A later kSynced task makes it durable too;
              // after a loss of power before that, the entries are gone and their offsets are given out again
};

// The rows of one table whose keys begin with `prefix` and are greater than `after`, in key order (bytewise).
struct ScanRange {
  std::string_view prefix;
  std::string_view after;  // to go on where the last scan ended
  size_t max_rows = 1000;
};

// The open batch. Valid only inside Task::Prepare, on the writer thread. Reads see everything committed and
// all that was written before within the open batch, by this task or an earlier one: checks made here are in
// the single writer's order. A failed read means the disk failed: return it from Prepare.
class Transaction {
 public:
  virtual absl::StatusOr<uint64_t> Append(LogRef log,
                                          Payload bytes) = 0;  // the offset, never given out twice
  virtual absl::StatusOr<Bounds> GetBounds(LogRef log) = 0;
  // Drops the entries before `first_kept`, at most to the end of the log; a smaller value than before does
  // nothing.
  virtual absl::Status Trim(LogRef log, uint64_t first_kept) = 0;

  virtual absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, Table table,
                                                         std::string_view key) = 0;
  virtual void Put(uint32_t tenant, Table table, std::string_view key, std::string_view value) = 0;
  virtual void Delete(uint32_t tenant, Table table, std::string_view key) = 0;
  virtual absl::StatusOr<std::vector<Row>> Scan(uint32_t tenant, Table table, const ScanRange& range) = 0;

  // Removes every row and log of the tenant. Its logs would start at offset 0 again: do not use the number
  // again.
  virtual void EraseTenant(uint32_t tenant) = 0;

 protected:
  ~Transaction() = default;
};

// One unit that is committed whole or not at all. Both functions run on the writer thread and must not block,
// and must not call Commit(). They may call every other function of the store.
class Task {
 public:
  virtual ~Task() = default;
  // A status other than OK leaves nothing of this task in the batch and is handed to Done().
  virtual absl::Status Prepare(Transaction& transaction) = 0;
  // Called exactly once for every task that Submit() took, in the order of submission, after watchers were
  // told. RESOURCE_EXHAUSTED: the disk is full. UNAVAILABLE: the disk failed. Either way nothing of the task
  // is visible or will become so, and later tasks succeed again once the disk does; nobody need restart.
  virtual void Done(const absl::Status& status) = 0;
  virtual size_t bytes() const = 0;  // about what it holds in memory; counts against Options::queue_bytes
  virtual Durability durability() const { return Durability::kSynced; }
  // Not null, and finished: the task is committed alone. Its Prepare writes nothing; when it is OK, the
  // tenant has from now on what this holds, with all that was committed before it or nothing of either
  // changed.
  virtual const TenantReplacement* replacement() const { return nullptr; }
};

struct Options {
  std::string path;                      // a directory of its own
  bool create_if_missing = true;         // also parent directories
  std::string format_name;               // who wrote it, such as "keystead-backend"; checked at Open
  uint32_t format_version = 1;           // of the keys and values of that user; checked at Open
  size_t queue_bytes = 64 << 20;         // of tasks waiting; beyond it Submit() refuses
  size_t batch_bytes = 8 << 20;          // of tasks committed together
  size_t tail_cache_bytes = 64 << 20;    // the newest entries over all logs
  size_t write_buffer_bytes = 64 << 20;  // what RocksDB gathers before it writes a table file
  size_t block_cache_bytes = 32 << 20;
  size_t max_unsynced_trims = 16384;  // logs trimmed since the last sync; beyond it the next commit syncs
  // The writer waits this long for more tasks, only when the last commit held more than one. Zero is best
  // unless the disk's fsync is much dearer than a network round trip.
  absl::Duration linger = absl::ZeroDuration();
  absl::Duration retry_interval = absl::Seconds(1);  // between attempts to get well after the disk failed
  std::shared_ptr<rocksdb::FileSystem> file_system;  // null: the machine's own. For tests
};

// Since Open().
struct Stats {
  size_t queue_tasks = 0;
  size_t queue_bytes = 0;
  uint64_t commits = 0;
  uint64_t syncs = 0;
  uint64_t failed_commits = 0;
  uint64_t tasks = 0;    // committed
  uint64_t entries = 0;  // appended
  uint64_t bytes = 0;    // of entries appended
  uint64_t refused = 0;  // by Submit()
  uint64_t tail_cache_bytes = 0;
  uint64_t tail_hits = 0;  // reads served from memory
  uint64_t tail_misses = 0;
  uint64_t disk_bytes = 0;     // table and blob files now
  absl::Duration commit_time;  // sum over commits, write and sync together
  absl::Duration longest_commit;
};

// Stops watching when destroyed. After the destructor has returned the callback does not run; so do not hold
// a lock that the callback takes. May be destroyed inside its own callback.
class Watcher {
 public:
  virtual ~Watcher() = default;
};

// Thread-safe. Destruction refuses new tasks, commits those that were taken, and then closes. No other call
// may be running, no Watcher may outlive the store.
class LogStore {
 public:
  // Opens, or creates whole or not at all. Errors are one line that says what is wrong and what to do:
  //   NOT_FOUND            nothing there and create_if_missing is off
  //   UNAVAILABLE          another process has it open
  //   PERMISSION_DENIED    the path cannot be written
  //   FAILED_PRECONDITION  written by another program or in another version of the format
  //   DATA_LOSS            damaged
  static absl::StatusOr<std::unique_ptr<LogStore>> Open(const Options& options);
  virtual ~LogStore() = default;

  // RESOURCE_EXHAUSTED: the queue is full, try again after some Done(). UNAVAILABLE: closing. A refused task
  // is destroyed without Done(). A task larger than the queue is taken when the queue is empty.
  virtual absl::Status Submit(std::unique_ptr<Task> task) = 0;

  // Waits until `prepare` is committed. For control planes and tests; never on the writer thread.
  absl::Status Commit(std::function<absl::Status(Transaction&)> prepare,
                      Durability durability = Durability::kSynced);

  // Committed entries from offset `from` on, in order, without holes: as many as fit into `max_bytes`, but at
  // least one if there is one. Empty at the end. NOT_FOUND: trimmed (GetBounds tells the first kept).
  // OUT_OF_RANGE: beyond the end. DATA_LOSS: damaged.
  virtual absl::StatusOr<std::vector<Entry>> Read(LogRef log, uint64_t from, size_t max_bytes) const = 0;
  virtual absl::StatusOr<Bounds> GetBounds(LogRef log) const = 0;  // committed

  // Calls `on_commit(end)` on the writer thread after every commit that appended to the log. It must not
  // block. Entries committed before Watch() returned are not announced: read after watching.
  virtual std::unique_ptr<Watcher> Watch(LogRef log, std::function<void(uint64_t end)> on_commit) = 0;

  // Committed state.
  virtual absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, Table table,
                                                         std::string_view key) const = 0;
  virtual absl::StatusOr<std::vector<Row>> Scan(uint32_t tenant, Table table,
                                                const ScanRange& range) const = 0;

  // One tenant as a whole (tenant_copy.h). UNIMPLEMENTED where the store has no such thing.
  virtual absl::StatusOr<std::unique_ptr<TenantSnapshot>> SnapshotTenant(uint32_t tenant);
  virtual absl::StatusOr<std::unique_ptr<TenantReplacement>> BeginReplacement(uint32_t tenant,
                                                                              std::vector<RowRange> stay);

  // Gives the disk space of a tenant back that EraseTenant has removed: what was deleted leaves the files.
  // Done by itself some time later; here it waits until it is done. May take long; never on the writer
  // thread.
  virtual absl::Status Reclaim(uint32_t tenant) = 0;

  virtual Stats GetStats() const = 0;
  // OK, or why the last commit failed; OK again after the next that succeeds. While it fails, the writer
  // itself tries every second.
  virtual absl::Status Health() const = 0;
};

// A task from two functions, for users without state of their own.
std::unique_ptr<Task> MakeTask(size_t bytes, std::function<absl::Status(Transaction&)> prepare,
                               std::function<void(const absl::Status&)> done,
                               Durability durability = Durability::kSynced);

// Such a task, waited for; `done` runs on the writer thread with its status. Never on the writer thread.
absl::Status RunTask(LogStore& store, std::function<absl::Status(Transaction&)> prepare,
                     const std::function<void(const absl::Status&)>& done,
                     Durability durability = Durability::kSynced);

}  // namespace keystead::storage
