// What the store knows about logs without asking the disk: their committed bounds, their newest entries, and
// who watches them.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/storage/log_store.h"

namespace keystead::storage {

// What one commit did to one log.
struct LogChange {
  LogRef log;
  Bounds bounds;                  // afterwards
  std::vector<Payload> appended;  // the entries before bounds.end
};

// Thread-safe. One mutex, held for copies of pointers only.
class LogDirectory {
 public:
  explicit LogDirectory(size_t tail_cache_bytes) : limit_(tail_cache_bytes) {}

  // Makes a commit visible, then calls the watchers of logs that grew. THREAD: writer.
  void Publish(std::vector<LogChange> changes, const std::vector<uint32_t>& erased_tenants);

  // Of a tenant's logs the disk has to be asked again. THREAD: writer.
  void Forget(uint32_t tenant);

  std::optional<Bounds> GetBounds(LogRef log) const;  // nothing: ask the disk

  struct TailRead {
    std::optional<Bounds> bounds;  // nothing: log not known here
    bool hit = false;
    std::vector<Entry> entries;
  };
  // Entries from `from` on if all of them are in memory: at least one if there is one, up to `max_bytes`.
  TailRead ReadTail(LogRef log, uint64_t from, size_t max_bytes) const;

  std::unique_ptr<Watcher> Watch(LogRef log, std::function<void(uint64_t end)> on_commit);

  size_t tail_bytes() const;
  size_t known_logs() const;

 private:
  class WatchState;
  class WatcherImpl;

  struct Log {
    LogRef ref;
    std::optional<Bounds> bounds;  // nothing while only watched
    // The newest entries, those before bounds->end; [0, head) were dropped already.
    std::vector<Payload> tail;
    size_t head = 0;
    std::vector<std::shared_ptr<WatchState>> watchers;
    bool listed = false;  // has entries in memory and a place in order_
    std::list<Log*>::iterator place;

    size_t tail_size() const { return tail.size() - head; }
  };

  void Apply(Log& log, LogChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropOldest(Log& log, size_t count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetIdleLogs() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Unwatch(const std::shared_ptr<WatchState>& state);

  const size_t limit_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<LogRef, std::unique_ptr<Log>> logs_ ABSL_GUARDED_BY(mutex_);
  std::list<Log*> order_ ABSL_GUARDED_BY(mutex_);  // logs with entries in memory, last written at the back
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t forget_at_ ABSL_GUARDED_BY(mutex_) = 1 << 16;
};

}  // namespace keystead::storage
