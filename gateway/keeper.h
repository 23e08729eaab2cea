// Keeps the history of each topic within bounds. What the next hop does not have yet is never discarded,
// whatever the bound says: that is the queue, which has a bound of its own.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/storage/log_store.h"

namespace keystead {
class RecordLog;
}

namespace keystead::gateway {

class Forwarder;

// Thread-safe.
class Keeper {
 public:
  // All outlive it.
  Keeper(storage::LogStore* store, RecordLog* log, const Forwarder* forwarder, uint64_t history_bytes);

  absl::Status Restore();  // looks at every log once after a start
  // THREAD: writer, inside Prepare. Not for the keyring: a device that comes back needs every commit.
  void Grew(storage::LogRef log, size_t bytes);
  // About ten times a second: trims what has grown.
  void Tick();

 private:
  struct Growth {
    uint64_t bytes = 0;  // since it was last looked at
    uint64_t waits_above =
        0;  // more than the bound, but not forwarded: look again when the cursor passes this
  };
  void Look(storage::LogRef log);

  storage::LogStore* const store_;
  RecordLog* const log_;
  const Forwarder* const forwarder_;
  const uint64_t history_bytes_;
  const uint64_t step_;
  absl::Mutex mutex_;
  absl::flat_hash_map<storage::LogRef, Growth> growth_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::gateway
