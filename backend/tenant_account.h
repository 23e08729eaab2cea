// What one tenant may have and what it has: its limits, its open calls, its rates, what it stores.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "backend/limits.h"
#include "backend/rows.h"
#include "core/base/clock.h"
#include "core/base/token_bucket.h"
#include "core/identity/principal.h"
#include "core/storage/log_store.h"
#include "core/transport/hop.h"

namespace keystead::backend {

struct TenantUsage {
  uint64_t connections = 0;
  uint64_t streams = 0;
  uint64_t subscriptions = 0;
  StoredUsage stored;
  uint64_t peers_seen = 0;  // distinct certificates, counted up to 100,000
  uint64_t records_in = 0;
  uint64_t bytes_in = 0;
  uint64_t groups_out = 0;
  uint64_t bytes_out = 0;
  uint64_t commits = 0;                     // of membership, accepted
  std::map<std::string, uint64_t> refused;  // by the name of the limit
};

// What a task adds to what is stored, or takes away.
struct StoredChange {
  int64_t groups = 0;
  int64_t bytes = 0;
};

// Thread-safe, but for what is marked. Lives as long as the Tenants that made it.
class TenantAccount : public std::enable_shared_from_this<TenantAccount> {
 public:
  TenantAccount(uint32_t number, const Clock* clock);

  TenantLimits limits() const;
  void SetLimits(const TenantLimits& limits);
  double weight() const { return weight_.load(std::memory_order_relaxed); }

  // LimitReached with the name of the limit.
  absl::StatusOr<Hop::Place> Enter(const Principal& peer, size_t topics);
  absl::Status Admit(const TaskLoad& load);
  // Of a load that was admitted and then refused by somebody else: it was never brought.
  void GiveBack(const TaskLoad& load);
  // Of another version of the tenant's key, of which the keystore holds kMaxKeyVersions at most.
  absl::Status AdmitRotation();
  // A refusal that somebody else decided: the writer's queue, the intake of commits.
  void CountRefused(std::string_view limit);
  void CountSent(uint64_t groups, uint64_t bytes);
  void CountCommit();

  // THREAD: the store's writer, inside Prepare, as the last thing that can fail. Notes the change in the open
  // batch. Only from the second task of a batch on is the row read again, since the first may have been taken
  // back meanwhile.
  absl::Status Add(storage::Transaction& transaction, const StoredChange& change);
  // THREAD: the store's writer, inside Done of a task that has used Add, with what it added; zero when the
  // task may not have come so far.
  void Settle(const absl::Status& status, const StoredChange& change);
  // Before there is a writer, or on its thread, outside of tasks that use Add: what is stored was exchanged.
  absl::Status Load(const storage::LogStore& store);

  // Of a tenant that was erased: who its peers were. Open calls still give back what they took.
  void Forget();

  TenantUsage Usage() const;
  StoredUsage stored() const;  // committed

 private:
  struct Call;
  void Leave(const Digest& peer, size_t topics);
  absl::Status RefuseLocked(std::string_view limit, absl::Duration retry_after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint32_t number_;
  const Clock* const clock_;
  std::atomic<double> weight_{1};

  mutable absl::Mutex mutex_;
  TenantLimits limits_ ABSL_GUARDED_BY(mutex_);
  TokenBucket records_ ABSL_GUARDED_BY(mutex_);
  TokenBucket bytes_ ABSL_GUARDED_BY(mutex_);
  TokenBucket rotations_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Digest, size_t> open_ ABSL_GUARDED_BY(mutex_);  // calls of each peer
  absl::flat_hash_set<Digest> seen_ ABSL_GUARDED_BY(mutex_);
  TenantUsage usage_ ABSL_GUARDED_BY(mutex_);  // without connections and what is stored

  void SetStored(const StoredUsage& usage);

  // THREAD: the store's writer.
  bool is_known_ = false;     // what is committed, and below
  bool is_in_batch_ = false;  // a task of the open batch has used Add

  std::atomic<uint64_t> stored_groups_{0}, stored_bytes_{0};  // committed
};

}  // namespace keystead::backend
