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

// Read through the transaction each time, which sees the open batch and forgets tasks that were rolled back.
absl::Status TenantAccount::Add(storage::Transaction& transaction, int64_t groups, int64_t bytes) {
  KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(number_, kUsageTable, kStoredUsage));
  StoredUsage usage;
  if (row.has_value()) {
    KS_ASSIGN_OR_RETURN(usage, DecodeUsage(*row));
  }
  usage.groups += static_cast<uint64_t>(groups);
  usage.bytes += static_cast<uint64_t>(bytes);
  transaction.Put(number_, kUsageTable, kStoredUsage, EncodeUsage(usage));
  open_batch_ = usage;
  return absl::OkStatus();
}

void TenantAccount::Settle(const absl::Status& status) {
  if (!status.ok()) {  // the batch is gone, and with it what was noted
    open_batch_.reset();
    return;
  }
  if (!open_batch_.has_value()) return;
  stored_groups_.store(open_batch_->groups, std::memory_order_relaxed);
  stored_bytes_.store(open_batch_->bytes, std::memory_order_relaxed);
}

void TenantAccount::Forget() {
  absl::MutexLock lock(&mutex_);
  seen_ = {};
  usage_ = {};
}

absl::Status TenantAccount::Load(const storage::LogStore& store) {
  KS_ASSIGN_OR_RETURN(const auto row, store.Get(number_, kUsageTable, kStoredUsage));
  StoredUsage usage;
  if (row.has_value()) {
    KS_ASSIGN_OR_RETURN(usage, DecodeUsage(*row));
  }
  open_batch_.reset();
  stored_groups_.store(usage.groups, std::memory_order_relaxed);
  stored_bytes_.store(usage.bytes, std::memory_order_relaxed);
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
