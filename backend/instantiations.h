// The membership of the instantiations that are in use, in memory: what the store holds, or will hold when
// the open batch is committed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "backend/tenant_view.h"
#include "core/storage/log_store.h"
#include "core/transport/executor.h"
#include "core/transport/roster_gate.h"

namespace keystead::backend {

class Instantiations {
 public:
  struct Options {
    size_t max_in_memory = 65536;  // least recently used go first
    // Verifying a commit costs a tenth of a millisecond, and as much for each member it adds: what is longer
    // is not loaded on the writer's thread.
    uint64_t max_commits_on_writer = 16;
    size_t max_bytes_on_writer = 32 << 10;
    RosterGateOptions gate;
  };

  // Nothing is owned; store and executor must outlive it.
  Instantiations(storage::LogStore* store, Executor* executor, const Options& options)
      : store_(store), executor_(executor), options_(options) {}

  // THREAD: the store's writer. ----------------------------------------------------------------------------

  // The gate of an instantiation; the pointer is good until the next call. NoSuchInstantiation() when there
  // is none; UNAVAILABLE while a long chain is being loaded; DATA_LOSS and the like from the store.
  absl::StatusOr<RosterGate*> Find(storage::Transaction& transaction, const TenantView& tenant,
                                   const InstantiationId& id);
  // NoSuchInstantiation(), at the price at which Find finds that there is none: for who must not learn from
  // it whether there is one.
  static absl::Status Miss(storage::Transaction& transaction, const TenantView& tenant,
                           const InstantiationId& id);
  RosterGate* InMemory(const TenantView& tenant, const InstantiationId& id);  // null: not loaded

  // A new head, from Prepare of the task that writes it: what is prepared after it meets the new roster. When
  // that task fails, Forget: the next Find reads the store again.
  void Enter(const TenantView& tenant, std::shared_ptr<const MembershipChain> chain, absl::Time taken);
  void Forget(const TenantView& tenant, const InstantiationId& id);
  void ForgetTenant(uint32_t number);  // all of a tenant: it was erased, or what it has was exchanged

  // Instantiations in which a member's term ended up to `now`, each once, in memory or not. They will not be
  // named again for these terms: act at once.
  std::vector<std::pair<TenantView, InstantiationId>> TakeExpired(absl::Time now);

  // Any thread. --------------------------------------------------------------------------------------------

  // The chain, from memory or the committed store; null when there is none. What a memory hit shows may not
  // be committed yet: decide by compare-and-set of the rows. What was read from the store stays in memory, so
  // that the next does not pay for it again. Reads one row more than that, the same whether there is one in
  // memory or none at all: a stranger's tries cost alike.
  absl::StatusOr<std::shared_ptr<const MembershipChain>> ChainOf(const TenantView& tenant,
                                                                 const InstantiationId& id);
  absl::Time next_expiry() const {
    return absl::FromUnixMicros(next_expiry_.load(std::memory_order_relaxed));
  }

 private:
  using Key = std::pair<uint32_t, InstantiationId>;
  struct Slot {
    std::unique_ptr<RosterGate> gate;
    std::list<Key>::iterator place;
  };
  struct Loaded {
    std::shared_ptr<const MembershipChain> chain;  // null: no such instantiation
    std::vector<absl::Time> taken;                 // of commit 0, 1, …
    std::vector<Digest> evicted;
  };
  struct Expiry {
    TenantView tenant;
    absl::Time at;
  };
  // `Source` is a Transaction or a LogStore. RESOURCE_EXHAUSTED: more than max_bytes of bundles.
  template <class Source>
  static absl::StatusOr<Loaded> Load(Source& source, const TenantView& tenant, const InstantiationId& id,
                                     size_t max_bytes);
  template <class Source>
  static absl::StatusOr<Loaded> Read(Source& source, const TenantView& tenant, const InstantiationId& id,
                                     size_t max_bytes);
  static absl::StatusOr<bool> IsCurrent(storage::Transaction& transaction, const TenantView& tenant,
                                        const MembershipChain& chain);
  template <class Source>
  static absl::StatusOr<std::vector<Digest>> LoadEvicted(Source& source, const TenantView& tenant,
                                                         const InstantiationId& id);
  void Keep(const TenantView& tenant, Loaded loaded, const std::function<void()>& finished);
  absl::Status TakeLoaded(storage::Transaction& transaction, const TenantView& tenant, Loaded& loaded);
  RosterGate* Insert(const TenantView& tenant, Loaded loaded);
  void LoadBehind(const TenantView& tenant, const InstantiationId& id);
  void NoteExpiry(const TenantView& tenant, const RosterGate& gate, absl::Time after);

  storage::LogStore* const store_;
  Executor* const executor_;
  const Options options_;

  // Writer's thread only.
  std::list<Key> lru_;  // most recently used first
  std::set<std::pair<absl::Time, Key>> expiries_;
  absl::flat_hash_map<Key, Expiry> expiry_of_;  // the same, one for each instantiation
  std::atomic<int64_t> next_expiry_{INT64_MAX};

  mutable absl::Mutex mutex_;  // changes come from the writer's thread only; it guards readers elsewhere
  absl::flat_hash_map<Key, Slot> slots_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<Key> loading_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::backend
