#include "backend/instantiations.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "backend/rows.h"
#include "core/base/status.h"
#include "core/observe/log.h"

namespace keystead::backend {
namespace {

constexpr size_t kRowsPerScan = 8;  // of at most 256 KiB each

// A commit that no chain has: looking for it costs the same as looking for commit 0 of a chain that is not
// there.
constexpr uint64_t kNoEpoch = UINT64_MAX;

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
                                                            const InstantiationId& id, size_t max_bytes) {
  Loaded loaded;
  std::shared_ptr<MembershipChain> chain;
  const std::string prefix = id.ToString();
  std::string after;
  size_t bytes = 0;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                        source.Scan(tenant.number(), kCommitTable,
                                    {.prefix = prefix, .after = after, .max_rows = kRowsPerScan}));
    if (rows.empty()) break;
    if (chain == nullptr) chain = std::make_shared<MembershipChain>(tenant.name(), id);
    for (const storage::Row& row : rows) {
      if (row.value.size() > max_bytes - bytes) return absl::ResourceExhaustedError("a long chain");
      bytes += row.value.size();
      KS_ASSIGN_OR_RETURN(const CommitRow commit, DecodeCommit(row.value));
      absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(AsBytes(commit.bundle));
      if (!bundle.ok() || !chain->Apply(*bundle).ok())
        return absl::DataLossError("a stored commit does not verify");
      loaded.taken.push_back(commit.taken);
    }
    after = rows.back().key;
  }
  loaded.chain = std::move(chain);
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

absl::Status Instantiations::Miss(storage::Transaction& transaction, const TenantView& tenant,
                                  const InstantiationId& id) {
  KS_RETURN_IF_ERROR(transaction.Get(tenant.number(), kCommitTable, CommitKey(id, kNoEpoch)).status());
  return NoSuchInstantiation();
}

absl::StatusOr<RosterGate*> Instantiations::Find(storage::Transaction& transaction, const TenantView& tenant,
                                                 const InstantiationId& id) {
  if (RosterGate* const gate = InMemory(tenant, id)) return gate;
  KS_ASSIGN_OR_RETURN(const auto first, transaction.Get(tenant.number(), kCommitTable, CommitKey(id, 0)));
  if (!first.has_value()) return NoSuchInstantiation();
  KS_ASSIGN_OR_RETURN(const auto long_chain, transaction.Get(tenant.number(), kCommitTable,
                                                             CommitKey(id, options_.max_commits_on_writer)));
  if (long_chain.has_value()) {
    LoadBehind(tenant, id);
    return absl::UnavailableError("the instantiation is being loaded");
  }
  absl::StatusOr<Loaded> loaded = Load(transaction, tenant, id, options_.max_bytes_on_writer);
  if (absl::IsResourceExhausted(loaded.status())) {
    LoadBehind(tenant, id);
    return absl::UnavailableError("the instantiation is being loaded");
  }
  if (!loaded.ok()) return loaded.status();
  if (loaded->chain == nullptr) return NoSuchInstantiation();
  return Insert(tenant, *std::move(loaded));
}

absl::Status Instantiations::TakeLoaded(storage::Transaction& transaction, const TenantView& tenant,
                                        Loaded& loaded) {
  if (loaded.chain == nullptr || InMemory(tenant, loaded.chain->id()) != nullptr) return absl::OkStatus();
  const InstantiationId id = loaded.chain->id();
  const std::string next = CommitKey(id, loaded.chain->epoch() + 1);
  KS_ASSIGN_OR_RETURN(const auto newer, transaction.Get(tenant.number(), kCommitTable, next));
  if (newer.has_value()) return absl::OkStatus();  // out of date; the next Find begins again
  // Nor may what was erased or exchanged meanwhile come back.
  KS_ASSIGN_OR_RETURN(const auto head,
                      transaction.Get(tenant.number(), kCommitTable, CommitKey(id, loaded.chain->epoch())));
  if (!head.has_value()) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const CommitRow row, DecodeCommit(*head));
  if (row.hash != loaded.chain->head().hash) return absl::OkStatus();
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
  executor_->Post(tenant.name().str(), [this, tenant, id, finished] {
    absl::StatusOr<Loaded> loaded = Load(*store_, tenant, id, SIZE_MAX);
    if (!loaded.ok()) {
      Log(LogLevel::kError, "load_failed",
          {{"instantiation", id.ToHex()}, {"reason", Std(loaded.status().message())}});
      return finished();
    }
    Keep(tenant, *std::move(loaded), finished);
  });
}

void Instantiations::Keep(const TenantView& tenant, Loaded loaded, const std::function<void()>& finished) {
  auto shared = std::make_shared<Loaded>(std::move(loaded));
  const absl::Status submitted = store_->Submit(storage::MakeTask(
      0,
      [this, tenant, shared](storage::Transaction& transaction) {
        return TakeLoaded(transaction, tenant, *shared);
      },
      [finished](const absl::Status&) { finished(); }, storage::Durability::kBuffered));
  if (!submitted.ok()) finished();
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
  loaded.chain = std::move(chain);
  Insert(tenant, std::move(loaded));
}

void Instantiations::Forget(const TenantView& tenant, const InstantiationId& id) {
  absl::MutexLock lock(&mutex_);
  const auto found = slots_.find(Key{tenant.number(), id});
  if (found == slots_.end()) return;
  lru_.erase(found->second.place);
  slots_.erase(found);
}

void Instantiations::ForgetAll(const TenantView& tenant) {
  absl::MutexLock lock(&mutex_);
  for (auto key = lru_.begin(); key != lru_.end();) {
    if (key->first != tenant.number()) {
      ++key;
      continue;
    }
    slots_.erase(*key);
    key = lru_.erase(key);
  }
}

// A term that is noted stays so until TakeExpired has named it, also when the chain leaves memory or has a
// later one now: acting on one that was extended does no harm.
void Instantiations::NoteExpiry(const TenantView& tenant, const RosterGate& gate, absl::Time after) {
  const absl::Time next = gate.NextExpiry(after);
  const Key key{tenant.number(), gate.chain().id()};
  const auto noted = expiry_of_.find(key);
  if (next == absl::InfiniteFuture() || (noted != expiry_of_.end() && noted->second.at <= next)) return;
  if (noted != expiry_of_.end()) expiries_.erase({noted->second.at, key});
  expiry_of_.insert_or_assign(key, Expiry{tenant, next});
  expiries_.emplace(next, key);
  next_expiry_.store(absl::ToUnixMicros(expiries_.begin()->first), std::memory_order_relaxed);
}

std::vector<std::pair<TenantView, InstantiationId>> Instantiations::TakeExpired(absl::Time now) {
  std::vector<std::pair<TenantView, InstantiationId>> out;
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    const Key key = expiries_.begin()->second;
    const auto noted = expiry_of_.find(key);
    out.emplace_back(noted->second.tenant, key.second);
    expiry_of_.erase(noted);
    expiries_.erase(expiries_.begin());
  }
  next_expiry_.store(expiries_.empty() ? INT64_MAX : absl::ToUnixMicros(expiries_.begin()->first),
                     std::memory_order_relaxed);
  for (const auto& [tenant, id] : out) {
    if (const RosterGate* const gate = InMemory(tenant, id)) NoteExpiry(tenant, *gate, now);
  }
  return out;
}

absl::StatusOr<std::shared_ptr<const MembershipChain>> Instantiations::ChainOf(const TenantView& tenant,
                                                                               const InstantiationId& id) {
  std::shared_ptr<const MembershipChain> known;
  {
    absl::ReaderMutexLock lock(&mutex_);
    const auto found = slots_.find(Key{tenant.number(), id});
    if (found != slots_.end()) known = found->second.gate->shared_chain();
  }
  const uint64_t asked = known == nullptr ? 0 : kNoEpoch;
  KS_ASSIGN_OR_RETURN(const auto first, store_->Get(tenant.number(), kCommitTable, CommitKey(id, asked)));
  if (known != nullptr || !first.has_value()) return known;
  KS_ASSIGN_OR_RETURN(Loaded loaded, Load(*store_, tenant, id, SIZE_MAX));
  std::shared_ptr<const MembershipChain> chain = loaded.chain;
  if (chain != nullptr) Keep(tenant, std::move(loaded), [] {});
  return chain;
}

}  // namespace keystead::backend
