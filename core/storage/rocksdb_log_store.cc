#include "core/storage/rocksdb_log_store.h"

#include <pthread.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/storage/tenant_replacement.h"
#include "core/storage/tenant_snapshot.h"

namespace keystead::storage {
namespace {

constexpr absl::Duration kHousekeepingInterval = absl::Seconds(30);

}  // namespace

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Open(const Options& options) {
  KS_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(options));
  return std::make_unique<RocksDbLogStore>(options, std::move(database));
}

RocksDbLogStore::RocksDbLogStore(const Options& options, std::unique_ptr<Database> database)
    : options_(options),
      database_(std::move(database)),
      directory_(options.tail_cache_bytes),
      batch_(*database_, directory_) {
  housekeeper_ = std::thread([this] { RunHousekeeping(); });
  writer_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "ks-writer");
    RunWriter();
  });
}

RocksDbLogStore::~RocksDbLogStore() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    work_.SignalAll();
    housekeeping_.SignalAll();
  }
  stop_reclaiming_ = true;
  writer_.join();
  housekeeper_.join();
}

absl::Status RocksDbLogStore::Submit(std::unique_ptr<Task> task) {
  const size_t bytes = task->bytes();
  absl::MutexLock lock(&mutex_);
  if (closing_) return absl::UnavailableError("the store is closing");
  if (!queue_.empty() && queue_bytes_ + bytes > options_.queue_bytes) {
    ++stats_.refused;
    return absl::ResourceExhaustedError("the queue of the store is full");
  }
  queue_bytes_ += bytes;
  queue_.push_back({std::move(task), Stopwatch::Start()});
  if (waiting_) work_.Signal();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Entry>> RocksDbLogStore::Read(LogRef log, uint64_t from, size_t max_bytes) const {
  LogDirectory::TailRead tail = directory_.ReadTail(log, from, max_bytes);
  if (tail.hit) {
    tail_hits_.fetch_add(1, std::memory_order_relaxed);
    return std::move(tail.entries);
  }
  if (tail.bounds) {  // the commonest question of a subscriber who is up to date
    if (from == tail.bounds->end) return std::vector<Entry>();
    if (from > tail.bounds->end) {
      return absl::OutOfRangeError(absl::StrCat("the log ends at offset ", tail.bounds->end));
    }
  }
  tail_misses_.fetch_add(1, std::memory_order_relaxed);
  return database_->ReadEntries(log, tail.bounds, from, max_bytes);
}

absl::StatusOr<Bounds> RocksDbLogStore::GetBounds(LogRef log) const {
  if (const std::optional<Bounds> known = directory_.GetBounds(log)) return *known;
  return database_->LoadBounds(log);
}

std::unique_ptr<Watcher> RocksDbLogStore::Watch(LogRef log, std::function<void(uint64_t end)> on_commit) {
  return directory_.Watch(log, std::move(on_commit));
}

absl::StatusOr<std::optional<std::string>> RocksDbLogStore::Get(uint32_t tenant, Table table,
                                                                std::string_view key) const {
  return database_->GetRow(tenant, table, key);
}

absl::StatusOr<std::vector<Row>> RocksDbLogStore::Scan(uint32_t tenant, Table table,
                                                       const ScanRange& range) const {
  return database_->ScanRows(tenant, table, range);
}

absl::StatusOr<std::unique_ptr<TenantSnapshot>> RocksDbLogStore::SnapshotTenant(uint32_t tenant) {
  return DatabaseSnapshot::Take(*database_, tenant);
}

absl::StatusOr<std::unique_ptr<TenantReplacement>> RocksDbLogStore::BeginReplacement(
    uint32_t tenant, std::vector<RowRange> stay) {
  return TableReplacement::Begin(*database_, tenant, std::move(stay));
}

absl::Status RocksDbLogStore::Reclaim(uint32_t tenant) {
  database_->EndSnapshots();  // of whomever: they would keep the files of this tenant too
  database_->ReclaimTenant(tenant, stop_reclaiming_);
  return stop_reclaiming_ ? absl::UnavailableError("the store is closing") : absl::OkStatus();
}

Stats RocksDbLogStore::GetStats() const {
  Stats stats;
  {
    absl::MutexLock lock(&mutex_);
    stats = stats_;
    stats.queue_tasks = queue_.size();
    stats.queue_bytes = queue_bytes_;
  }
  stats.tail_cache_bytes = directory_.tail_bytes();
  stats.tail_hits = tail_hits_.load();
  stats.tail_misses = tail_misses_.load();
  stats.disk_bytes = database_->DiskBytes();
  return stats;
}

absl::Status RocksDbLogStore::Health() const {
  absl::MutexLock lock(&mutex_);
  return health_;
}

void RocksDbLogStore::CollectMetrics(MetricWriter& out) const {
  absl::Duration oldest;
  bool healthy = true;
  {
    absl::MutexLock lock(&mutex_);
    if (!queue_.empty()) oldest = queue_.front().since.Elapsed();
    healthy = health_.ok();
  }
  WriteStoreMetrics(GetStats(), times_, oldest, healthy, out);
}

void RocksDbLogStore::RunWriter() {
  std::vector<Member> members;
  while (Take(members)) {
    if (database_->failed()) TryRecovery();
    if (!members.empty()) CommitTogether(members);
    members.clear();
  }
}

bool RocksDbLogStore::Take(std::vector<Member>& members) {
  absl::MutexLock lock(&mutex_);
  while (queue_.empty()) {
    if (closing_) return false;
    waiting_ = true;
    const bool timed_out = !health_.ok() && work_.WaitWithTimeout(&mutex_, options_.retry_interval);
    if (health_.ok()) work_.Wait(&mutex_);
    waiting_ = false;
    if (timed_out) return true;
  }
  if (options_.linger > absl::ZeroDuration() && last_batch_ > 1 && !closing_) {
    const absl::Time until = absl::Now() + options_.linger;
    waiting_ = true;
    while (!closing_ && queue_.size() < last_batch_ && queue_bytes_ < options_.batch_bytes) {
      if (work_.WaitWithDeadline(&mutex_, until)) break;
    }
    waiting_ = false;
  }
  size_t bytes = 0;
  while (!queue_.empty()) {
    Waiting& first = queue_.front();
    const size_t next = first.task->bytes();
    const bool alone = first.task->replacement() != nullptr;
    if (!members.empty() && (alone || bytes + next > options_.batch_bytes)) break;
    bytes += next;
    queue_bytes_ -= next;
    first.since.ObserveIn(times_.queued);
    members.push_back({std::move(first.task), absl::OkStatus()});
    queue_.pop_front();
    if (alone) break;
  }
  last_batch_ = members.size();
  return true;
}

void RocksDbLogStore::CommitTogether(std::vector<Member>& members) {
  if (database_->failed()) {
    Finish(members, Health());
    return;
  }
  if (members.front().task->replacement() != nullptr) {
    CommitReplacement(members.front());
    return Finish(members, absl::OkStatus());
  }
  const absl::Time start = absl::Now();
  // Where nobody asks for a sync, trims would gather for ever: one sync lets all of them go.
  bool sync = unsynced_trims_.size() >= options_.max_unsynced_trims;
  for (Member& member : members) {
    batch_.BeginTask();
    member.status = member.task->Prepare(batch_);
    if (member.status.ok()) {
      batch_.KeepTask();
      sync = sync || member.task->durability() == Durability::kSynced;
    } else {
      batch_.RollBackTask();
    }
  }
  const bool ack_before_sync = sync && MutantActive(Mutant::kAckBeforeSync);
  const absl::Status committed = WriteBatch(sync && !ack_before_sync);
  Count(members.size(), sync, absl::Now() - start, committed);
  if (committed.ok()) Publish(sync);
  batch_.Clear();
  Finish(members, committed);
  if (ack_before_sync) database_->Sync().IgnoreError();
}

// What is remembered of the tenant is dropped whether it succeeded or not: only the disk knows.
void RocksDbLogStore::CommitReplacement(Member& member) {
  const absl::Time start = absl::Now();
  const auto& with = static_cast<const TableReplacement&>(*member.task->replacement());
  batch_.BeginTask();
  member.status = member.task->Prepare(batch_);
  batch_.RollBackTask();
  batch_.Clear();
  if (!with.finished()) member.status = absl::InternalError("a replacement that is not finished");
  if (!member.status.ok()) return;
  absl::erase_if(unsynced_trims_, [&](const auto& trim) { return trim.first.tenant == with.tenant(); });
  member.status = database_->Replace(with);
  directory_.Forget(with.tenant());
  Count(1, true, absl::Now() - start, member.status);
}

absl::Status RocksDbLogStore::WriteBatch(bool sync) {
  // An erased tenant's logs start at offset 0 again; the filter must not take them for the trimmed ones. Too
  // early does no harm: it then keeps for a while what could go.
  for (const uint32_t tenant : batch_.erased_tenants()) {
    database_->trims().Forget(tenant);
    absl::erase_if(unsynced_trims_, [tenant](const auto& trim) { return trim.first.tenant == tenant; });
  }
  if (batch_.empty() && !sync) return absl::OkStatus();
  const Stopwatch since = Stopwatch::Start();
  const absl::Status written = batch_.empty() ? database_->Sync() : database_->Write(batch_.writes(), sync);
  if (sync && written.ok()) since.ObserveIn(times_.synced);
  return written;
}

void RocksDbLogStore::Publish(bool synced) {
  for (const auto& [log, first_kept] : batch_.Trims()) {
    uint64_t& known = unsynced_trims_[log];
    known = std::max(known, first_kept);
  }
  if (synced) {  // what the filter drops is gone, so the trim must not be lost
    for (const auto& [log, first_kept] : unsynced_trims_) database_->trims().Set(log, first_kept);
    unsynced_trims_.clear();
  }
  const std::vector<uint32_t> erased = batch_.erased_tenants();
  if (!erased.empty()) {
    absl::MutexLock lock(&mutex_);
    erased_.insert(erased_.end(), erased.begin(), erased.end());
    housekeeping_.Signal();
  }
  directory_.Publish(batch_.TakeChanges(), erased);
}

void RocksDbLogStore::Finish(std::vector<Member>& members, const absl::Status& committed) {
  for (Member& member : members) {
    member.task->Done(member.status.ok() ? committed : member.status);
    member.task.reset();
  }
}

void RocksDbLogStore::Count(size_t tasks, bool synced, absl::Duration took, const absl::Status& status) {
  if (MetricsWanted() && status.ok()) times_.committed.Observe(took);
  absl::MutexLock lock(&mutex_);
  if (!status.ok()) {
    if (health_.ok())
      Log(LogLevel::kError, "store_failed", {{"path", options_.path}, {"reason", status.ToString()}});
    health_ = status;
    ++stats_.failed_commits;
    return;
  }
  ++stats_.commits;
  if (synced) ++stats_.syncs;
  stats_.tasks += tasks;
  stats_.entries += batch_.entries();
  stats_.bytes += batch_.entry_bytes();
  stats_.commit_time += took;
  stats_.longest_commit = std::max(stats_.longest_commit, took);
}

void RocksDbLogStore::TryRecovery() {
  if (absl::Now() - last_recovery_ < options_.retry_interval) return;
  last_recovery_ = absl::Now();
  const absl::Status status = database_->Recover();
  absl::MutexLock lock(&mutex_);
  health_ = status;
  if (status.ok()) Log(LogLevel::kInfo, "store_recovered", {{"path", options_.path}});
}

void RocksDbLogStore::RunHousekeeping() {
  while (true) {
    std::vector<uint32_t> erased;
    {
      absl::MutexLock lock(&mutex_);
      if (erased_.empty() && !closing_) housekeeping_.WaitWithTimeout(&mutex_, kHousekeepingInterval);
      if (closing_) return;
      erased.swap(erased_);
    }
    for (const uint32_t tenant : erased) database_->ReclaimTenant(tenant, stop_reclaiming_);
    database_->ReclaimTrimmed();
  }
}

}  // namespace keystead::storage
