#include "backend/tenant_account.h"

#include <algorithm>
#include <utility>

#include "core/base/status.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"

namespace keystead::backend {
namespace {

constexpr size_t kMaxSeen = 100'000;
// What does not free itself by waiting: whoever comes back after this long asks again.
constexpr absl::Duration kComeBackForPlaces = absl::Seconds(1);
constexpr absl::Duration kComeBackForSpace = absl::Seconds(30);
constexpr double kRotationsPerSecond = 1.0 / 60;
constexpr double kRotationsBurst = 4;

template <class Source>  // a Transaction or a LogStore
absl::StatusOr<StoredUsage> ReadUsage(Source& source, uint32_t tenant) {
  KS_ASSIGN_OR_RETURN(const auto row, source.Get(tenant, kUsageTable, kStoredUsage));
  if (!row.has_value()) return StoredUsage();
  return DecodeUsage(*row);
}

}  // namespace

struct TenantAccount::Call {
  std::shared_ptr<TenantAccount> account;
  Digest peer;
  size_t topics = 0;
  Call(std::shared_ptr<TenantAccount> of, const Digest& who, size_t how_many)
      : account(std::move(of)), peer(who), topics(how_many) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() { account->Leave(peer, topics); }
};

TenantAccount::TenantAccount(uint32_t number, const Clock* clock) : number_(number), clock_(clock) {
  absl::MutexLock lock(&mutex_);
  rotations_.Configure(kRotationsPerSecond, kRotationsBurst, clock_->Uptime());
}

TenantLimits TenantAccount::limits() const {
  absl::MutexLock lock(&mutex_);
  return limits_;
}

void TenantAccount::SetLimits(const TenantLimits& limits) {
  absl::MutexLock lock(&mutex_);
  limits_ = limits;
  weight_.store(limits.weight, std::memory_order_relaxed);
  const absl::Duration now = clock_->Uptime();
  records_.Configure(limits.records_per_second, limits.records_burst, now);
  bytes_.Configure(limits.bytes_per_second, limits.bytes_burst, now);
}

absl::Status TenantAccount::RefuseLocked(std::string_view limit, absl::Duration retry_after) {
  ++usage_.refused[std::string(limit)];
  return LimitReached(limit, retry_after);
}

absl::StatusOr<Hop::Place> TenantAccount::Enter(const Principal& peer, size_t topics) {
  const auto over = [](uint64_t limit, uint64_t wanted) { return limit > 0 && wanted > limit; };
  absl::MutexLock lock(&mutex_);
  if (over(limits_.streams, usage_.streams + 1))
    return RefuseLocked(limit_names::kStreams, kComeBackForPlaces);
  if (over(limits_.subscriptions, usage_.subscriptions + topics))
    return RefuseLocked(limit_names::kSubscriptions, kComeBackForPlaces);
  const bool is_new = !open_.contains(peer.fingerprint());
  if (is_new && over(limits_.connections, open_.size() + 1))
    return RefuseLocked(limit_names::kConnections, kComeBackForPlaces);
  ++usage_.streams;
  usage_.subscriptions += topics;
  ++open_[peer.fingerprint()];
  if (is_new && seen_.size() < kMaxSeen) seen_.insert(peer.fingerprint());
  return std::make_shared<const Call>(shared_from_this(), peer.fingerprint(), topics);
}

void TenantAccount::Leave(const Digest& peer, size_t topics) {
  absl::MutexLock lock(&mutex_);
  --usage_.streams;
  usage_.subscriptions -= topics;
  const auto found = open_.find(peer);
  if (--found->second == 0) open_.erase(found);
}

absl::Status TenantAccount::Admit(const TaskLoad& load) {
  if (load.records == 0) return absl::OkStatus();
  const absl::Duration now = clock_->Uptime();
  absl::MutexLock lock(&mutex_);
  if (limits_.stored_bytes > 0 &&
      stored_bytes_.load(std::memory_order_relaxed) + load.bytes > limits_.stored_bytes)
    return RefuseLocked(limit_names::kStoredBytes, kComeBackForSpace);
  if (const absl::Duration wait = records_.Wait(now); wait > absl::ZeroDuration())
    return RefuseLocked(limit_names::kRecords, wait);
  if (const absl::Duration wait = bytes_.Wait(now); wait > absl::ZeroDuration())
    return RefuseLocked(limit_names::kBytes, wait);
  records_.Take(static_cast<double>(load.records));
  bytes_.Take(static_cast<double>(load.bytes));
  usage_.records_in += load.records;
  usage_.bytes_in += load.bytes;
  return absl::OkStatus();
}

absl::Status TenantAccount::AdmitRotation() {
  const absl::Duration now = clock_->Uptime();
  absl::MutexLock lock(&mutex_);
  if (const absl::Duration wait = rotations_.Wait(now); wait > absl::ZeroDuration())
    return RefuseLocked(peer_limits::kRotations, wait);
  rotations_.Take(1);
  return absl::OkStatus();
}

void TenantAccount::GiveBack(const TaskLoad& load) {
  if (load.records == 0) return;  // as in Admit
  absl::MutexLock lock(&mutex_);
  records_.GiveBack(static_cast<double>(load.records));
  bytes_.GiveBack(static_cast<double>(load.bytes));
  usage_.records_in -= load.records;
  usage_.bytes_in -= load.bytes;
}

void TenantAccount::CountRefused(std::string_view limit) {
  absl::MutexLock lock(&mutex_);
  ++usage_.refused[std::string(limit)];
}

void TenantAccount::CountSent(uint64_t groups, uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  usage_.groups_out += groups;
  usage_.bytes_out += bytes;
}

void TenantAccount::CountCommit() {
  absl::MutexLock lock(&mutex_);
  ++usage_.commits;
}

absl::Status TenantAccount::Add(storage::Transaction& transaction, const StoredChange& change) {
  StoredUsage usage = stored();
  if (!is_known_ || is_in_batch_) {
    KS_ASSIGN_OR_RETURN(usage, ReadUsage(transaction, number_));
    if (!is_in_batch_) SetStored(usage);
  }
  usage.groups += static_cast<uint64_t>(change.groups);
  usage.bytes += static_cast<uint64_t>(change.bytes);
  transaction.Put(number_, kUsageTable, kStoredUsage, EncodeUsage(usage));
  is_in_batch_ = true;
  return absl::OkStatus();
}

void TenantAccount::Settle(const absl::Status& status, const StoredChange& change) {
  is_in_batch_ = false;  // all that is in a batch is prepared before any of it is settled
  if (!status.ok()) return;
  stored_groups_.fetch_add(static_cast<uint64_t>(change.groups), std::memory_order_relaxed);
  stored_bytes_.fetch_add(static_cast<uint64_t>(change.bytes), std::memory_order_relaxed);
}

void TenantAccount::SetStored(const StoredUsage& usage) {
  stored_groups_.store(usage.groups, std::memory_order_relaxed);
  stored_bytes_.store(usage.bytes, std::memory_order_relaxed);
  is_known_ = true;
}

void TenantAccount::Forget() {
  absl::MutexLock lock(&mutex_);
  seen_ = {};
  usage_ = {};
}

absl::Status TenantAccount::Load(const storage::LogStore& store) {
  is_known_ = false;
  is_in_batch_ = false;
  KS_ASSIGN_OR_RETURN(const StoredUsage usage, ReadUsage(store, number_));
  SetStored(usage);
  return absl::OkStatus();
}

StoredUsage TenantAccount::stored() const {
  return {stored_groups_.load(std::memory_order_relaxed), stored_bytes_.load(std::memory_order_relaxed)};
}

TenantUsage TenantAccount::Usage() const {
  absl::MutexLock lock(&mutex_);
  TenantUsage out = usage_;
  out.connections = open_.size();
  out.peers_seen = seen_.size();
  out.stored = stored();
  return out;
}

}  // namespace keystead::backend
