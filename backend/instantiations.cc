#include "backend/instantiations.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "backend/rows.h"
#include "core/base/status.h"
#include "core/observe/log.h"

namespace keystead::backend {
namespace {

constexpr size_t kRowsPerScan = 64;

}  // namespace

template <class Source>
absl::StatusOr<std::vector<Digest>> Instantiations::LoadEvicted(Source& source, const TenantView& tenant,
                                                                const InstantiationId& id) {
  const std::string prefix = id.ToString();
  KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                      source.Scan(tenant.number(), kEvictedTable, {.prefix = prefix, .max_rows = SIZE_MAX}));
  std::vector<Digest> out;
  for (const storage::Row& row : rows) {
    KS_ASSIGN_OR_RETURN(const Digest ckt, DecodeEvictedKey(row.key));
    out.push_back(ckt);
  }
  return out;
}

template <class Source>
absl::StatusOr<Instantiations::Loaded> Instantiations::Load(Source& source, const TenantView& tenant,
                                                            const InstantiationId& id) {
  Loaded loaded;
  const std::string prefix = id.ToString();
  std::string after;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                        source.Scan(tenant.number(), kCommitTable,
                                    {.prefix = prefix, .after = after, .max_rows = kRowsPerScan}));
    if (rows.empty()) break;
    if (loaded.chain == nullptr) loaded.chain = std::make_shared<MembershipChain>(tenant.name(), id);
    for (const storage::Row& row : rows) {
      KS_ASSIGN_OR_RETURN(const CommitRow commit, DecodeCommit(row.value));
      absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(AsBytes(commit.bundle));
      if (!bundle.ok() || !loaded.chain->Apply(*bundle).ok())
        return absl::DataLossError("a stored commit does not verify");
      loaded.taken.push_back(commit.taken);
    }
    after = rows.back().key;
  }
  KS_ASSIGN_OR_RETURN(loaded.evicted, LoadEvicted(source, tenant, id));
  return loaded;
}

RosterGate* Instantiations::Insert(const TenantView& tenant, Loaded loaded) {
  const Key key{tenant.number(), loaded.chain->id()};
  auto gate = std::make_unique<RosterGate>(std::move(loaded.chain), options_.gate);
  for (size_t epoch = 1; epoch < loaded.taken.size(); ++epoch)
    gate->EpochEnded(epoch - 1, loaded.taken[epoch]);
  for (const Digest& ckt : loaded.evicted) gate->Evict(ckt);
  NoteExpiry(tenant, *gate, options_.gate.clock->Now());
  RosterGate* const out = gate.get();
  lru_.push_front(key);
  absl::MutexLock lock(&mutex_);
  slots_[key] = {std::move(gate), lru_.begin()};
  if (lru_.size() > std::max<size_t>(options_.max_in_memory, 1)) {
    slots_.erase(lru_.back());
    lru_.pop_back();
  }
  return out;
}

RosterGate* Instantiations::InMemory(const TenantView& tenant, const InstantiationId& id) {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = slots_.find(Key{tenant.number(), id});
  if (found == slots_.end()) return nullptr;
  if (found->second.place != lru_.begin()) lru_.splice(lru_.begin(), lru_, found->second.place);
  return found->second.gate.get();
}

absl::StatusOr<RosterGate*> Instantiations::Find(storage::Transaction& transaction, const TenantView& tenant,
                                                 const InstantiationId& id) {
  if (RosterGate* const gate = InMemory(tenant, id)) return gate;
  KS_ASSIGN_OR_RETURN(const auto long_chain, transaction.Get(tenant.number(), kCommitTable,
                                                             CommitKey(id, options_.max_commits_on_writer)));
  if (long_chain.has_value()) {
    LoadBehind(tenant, id);
    return absl::UnavailableError("the instantiation is being loaded");
  }
  KS_ASSIGN_OR_RETURN(Loaded loaded, Load(transaction, tenant, id));
  if (loaded.chain == nullptr) return NoSuchInstantiation();
  return Insert(tenant, std::move(loaded));
}

absl::Status Instantiations::TakeLoaded(storage::Transaction& transaction, const TenantView& tenant,
                                        Loaded& loaded) {
  if (loaded.chain == nullptr || InMemory(tenant, loaded.chain->id()) != nullptr) return absl::OkStatus();
  const InstantiationId id = loaded.chain->id();
  const std::string next = CommitKey(id, loaded.chain->epoch() + 1);
  KS_ASSIGN_OR_RETURN(const auto newer, transaction.Get(tenant.number(), kCommitTable, next));
  if (newer.has_value()) return absl::OkStatus();  // out of date; the next Find begins again
  KS_ASSIGN_OR_RETURN(loaded.evicted, LoadEvicted(transaction, tenant, id));
  Insert(tenant, std::move(loaded));
  return absl::OkStatus();
}

// Verifies on the executor what is committed, and takes it in the writer's order.
void Instantiations::LoadBehind(const TenantView& tenant, const InstantiationId& id) {
  const auto finished = [this, key = Key{tenant.number(), id}] {
    absl::MutexLock lock(&mutex_);
    loading_.erase(key);
  };
  {
    absl::MutexLock lock(&mutex_);
    if (!loading_.insert(Key{tenant.number(), id}).second) return;
  }
  executor_->Post([this, tenant, id, finished] {
    absl::StatusOr<Loaded> loaded = Load(*store_, tenant, id);
    if (!loaded.ok()) {
      Log(LogLevel::kError, "load_failed",
          {{"instantiation", id.ToHex()}, {"reason", Std(loaded.status().message())}});
      return finished();
    }
    auto shared = std::make_shared<Loaded>(*std::move(loaded));
    const absl::Status submitted = store_->Submit(storage::MakeTask(
        0,
        [this, tenant, shared](storage::Transaction& transaction) {
          return TakeLoaded(transaction, tenant, *shared);
        },
        [finished](const absl::Status&) { finished(); }, storage::Durability::kBuffered));
    if (!submitted.ok()) finished();
  });
}

void Instantiations::Enter(const TenantView& tenant, std::shared_ptr<const MembershipChain> chain,
                           absl::Time taken) {
  const InstantiationId id = chain->id();
  if (RosterGate* const gate = InMemory(tenant, id)) {
    if (chain->epoch() > 0) gate->EpochEnded(chain->epoch() - 1, taken);
    absl::MutexLock lock(&mutex_);  // ChainOf reads it
    gate->SetChain(std::move(chain));
    NoteExpiry(tenant, *gate, taken);
    return;
  }
  if (chain->epoch() > 0) return;  // the next Find reads what this task writes
  Loaded loaded;
  loaded.chain = std::make_shared<MembershipChain>(*chain);
  Insert(tenant, std::move(loaded));
}

void Instantiations::Forget(const TenantView& tenant, const InstantiationId& id) {
  absl::MutexLock lock(&mutex_);
  const auto found = slots_.find(Key{tenant.number(), id});
  if (found == slots_.end()) return;
  lru_.erase(found->second.place);
  slots_.erase(found);
}

void Instantiations::NoteExpiry(const TenantView& tenant, const RosterGate& gate, absl::Time after) {
  const absl::Time next = gate.NextExpiry(after);
  if (next == absl::InfiniteFuture()) return;
  expiries_.emplace(next, std::pair(tenant, gate.chain().id()));
  next_expiry_.store(absl::ToUnixMicros(expiries_.begin()->first), std::memory_order_relaxed);
}

std::vector<std::pair<TenantView, InstantiationId>> Instantiations::TakeExpired(absl::Time now) {
  std::vector<std::pair<TenantView, InstantiationId>> out;
  absl::flat_hash_set<Key> seen;
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    auto& [tenant, id] = expiries_.begin()->second;
    if (seen.insert(Key{tenant.number(), id}).second) out.emplace_back(tenant, id);
    expiries_.erase(expiries_.begin());
  }
  next_expiry_.store(expiries_.empty() ? INT64_MAX : absl::ToUnixMicros(expiries_.begin()->first),
                     std::memory_order_relaxed);
  for (const auto& [tenant, id] : out) {
    if (const RosterGate* const gate = InMemory(tenant, id)) NoteExpiry(tenant, *gate, now);
  }
  return out;
}

absl::StatusOr<std::shared_ptr<const MembershipChain>> Instantiations::ChainOf(
    const TenantView& tenant, const InstantiationId& id) const {
  {
    absl::ReaderMutexLock lock(&mutex_);
    const auto found = slots_.find(Key{tenant.number(), id});
    if (found != slots_.end()) return found->second.gate->shared_chain();
  }
  KS_ASSIGN_OR_RETURN(Loaded loaded, Load(*store_, tenant, id));
  return std::shared_ptr<const MembershipChain>(std::move(loaded.chain));
}

}  // namespace keystead::backend
