// Keeps the history of each topic within bounds. What the next hop does not have yet is never discarded,
// whatever the bound says: that is the queue, which has a bound of its own.
//
// A keyring holds commits, which every device that comes back or is new needs from the first on, and notices,
// which any member may publish as often as it likes. So it is not trimmed but written anew: all commits in
// their order, behind them the newest notices, and all that lay before is discarded. docs/decisions/0015.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/base/ids.h"
#include "core/storage/log_store.h"

namespace keystead {
class RecordLog;
struct GroupHeader;
}  // namespace keystead

namespace keystead::gateway {

class Forwarder;

// Thread-safe.
class Keeper {
 public:
  // All outlive it.
  Keeper(storage::LogStore* store, RecordLog* log, Forwarder* forwarder, uint64_t history_bytes);

  absl::Status Restore();  // looks at every log once after a start
  // THREAD: writer, inside Prepare.
  void Grew(const GroupHeader& header, storage::LogRef log, size_t bytes);
  // About ten times a second: trims what has grown.
  void Tick();
  uint64_t rewritten() const { return rewritten_; }  // keyrings, since start

 private:
  struct Growth {
    uint64_t bytes = 0;  // since it was last looked at
    uint64_t waits_above =
        0;  // more than the bound, but not forwarded: look again when the cursor passes this
    std::optional<InstantiationId> keyring_of;
  };
  class TrimTask;
  struct Due {
    storage::LogRef log;
    std::optional<InstantiationId> keyring_of;
  };
  void LookAgain(const Due& due);

  storage::LogStore* const store_;
  RecordLog* const log_;
  Forwarder* const forwarder_;
  const uint64_t history_bytes_;
  const uint64_t step_;
  std::atomic<uint64_t> rewritten_{0};
  absl::Mutex mutex_;
  absl::flat_hash_map<storage::LogRef, Growth> growth_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::gateway
