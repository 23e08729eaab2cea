#include "gateway/forwarder.h"

#include <optional>
#include <string>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "core/transport/group_event.h"
#include "gateway/rows.h"

namespace keystead::gateway {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kMaxParkedTries = 65536;  // at one change of the roster

PublisherOptions WithRoom(PublisherOptions options, const Outbox::Options& outbox) {
  // The outbox bounds what is under way; the publisher must never refuse what the outbox has handed out.
  options.max_buffer_bytes =
      outbox.window_bytes + kReadBytes + outbox.turn_bytes + 2 * limits::kMaxGroupBytes;
  return options;
}

}  // namespace

Forwarder::Forwarder(storage::LogStore* store, RecordLog* log, HopChannel channel, const Options& options)
    : options_(options),
      store_(store),
      log_(log),
      outbox_(options.outbox),
      publisher_(
          std::move(channel),
          {.on_durable = [this](uint64_t up_to) { OnDurable(up_to); },
           .on_refused = [this](uint64_t ticket, const GroupRefusal& refusal) { OnRefused(ticket, refusal); },
           .on_connected =
               [this] {
                 Log(LogLevel::kInfo, "upstream_connected");
                 if (options_.on_connected) options_.on_connected();
               },
           .on_disconnected =
               [this](const absl::Status& why) {
                 if (options_.on_disconnected) options_.on_disconnected(why);
                 Log(LogLevel::kWarning, "upstream_disconnected",
                     {{"code", Std(absl::StatusCodeToString(why.code()))}, {"reason", Std(why.message())}});
               }},
          WithRoom(options.publisher, options.outbox)) {}

Forwarder::~Forwarder() { Stop(); }

// Start and end
// ----------------------------------------------------------------------------------------------------

absl::Status Forwarder::Restore() {
  std::optional<TopicPlace> after;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<RecordLog::OwnedLog> logs, log_->Logs(kTenantNumber, after, 1000));
    if (logs.empty()) break;
    for (const RecordLog::OwnedLog& owned : logs) KS_RETURN_IF_ERROR(RestoreLog(owned.log.ref));
    after = logs.back().key;
  }
  absl::MutexLock lock(&mutex_);
  Count();
  const Outbox::Stats stats = outbox_.GetStats(options_.clock->Now());
  Log(LogLevel::kInfo, "queue_restored", {{"entries", stats.entries}, {"bytes", stats.bytes}});
  return absl::OkStatus();
}

absl::Status Forwarder::RestoreLog(const storage::LogRef& ref) {
  Outbox::Restored restored;
  restored.log = ref;
  KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, store_->GetBounds(ref));
  KS_ASSIGN_OR_RETURN(const auto cursor, store_->Get(ref.tenant, kCursorTable, LogKey(ref.log)));
  if (cursor.has_value()) {
    KS_ASSIGN_OR_RETURN(restored.cursor, DecodeNumber(*cursor));
  }
  restored.cursor = std::min(std::max(restored.cursor, bounds.first), bounds.end);
  restored.end = bounds.end;
  const std::string prefix = LogKey(ref.log);
  std::string last;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                        store_->Scan(ref.tenant, kSkipTable, {.prefix = prefix, .after = last}));
    if (rows.empty()) break;
    for (const storage::Row& row : rows) {
      KS_ASSIGN_OR_RETURN(const uint64_t offset, DecodeEntryOffset(row.key));
      restored.skips.push_back(offset);
    }
    last = rows.back().key;
  }
  size_t skip = 0;  // both are in order
  for (uint64_t next = restored.cursor; next < bounds.end;) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Entry> entries, store_->Read(ref, next, kReadBytes));
    if (entries.empty()) return absl::DataLossError("a log ends before its end");
    for (const storage::Entry& entry : entries) {
      while (skip < restored.skips.size() && restored.skips[skip] < entry.offset) ++skip;
      if (skip < restored.skips.size() && restored.skips[skip] == entry.offset) continue;
      ++restored.entries;
      restored.bytes += entry.bytes->size();
    }
    next = entries.back().offset + 1;
  }
  absl::MutexLock lock(&mutex_);
  outbox_.Restore(restored, options_.clock->Now());
  return absl::OkStatus();
}

void Forwarder::Start() {
  publisher_.Start();
  {
    absl::MutexLock lock(&mutex_);
    started_ = true;
  }
  Kick();
}

bool Forwarder::Flush(absl::Duration patience) {
  const auto empty = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return outbox_.empty(); };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&empty), patience);
}

void Forwarder::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  executor_.Drain();
  publisher_.Stop();
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !noting_; };
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&idle));
  }
  NoteProgress();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&idle));
}

void Forwarder::Tick() {
  bool kick = false;
  bool note = false;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    kick = outbox_.RetryDue(options_.clock->Now());
    note = outbox_.has_progress();
  }
  if (kick) Kick();
  if (note) NoteProgress();
}

// Buffered: after a power failure the cursor may be behind, and the next hop sees duplicates. It is never
// ahead, because the entries below it stand before it in the same write-ahead log.
void Forwarder::NoteProgress() {
  auto progress = std::make_shared<std::vector<Outbox::Progress>>();
  {
    absl::MutexLock lock(&mutex_);
    if (noting_) return;
    *progress = outbox_.TakeProgress();
    if (progress->empty()) return;
    noting_ = true;
  }
  const auto done = [this, progress](const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    noting_ = false;
    if (!status.ok()) outbox_.Retain(std::move(*progress));
  };
  const absl::Status submitted = store_->Submit(storage::MakeTask(
      progress->size() * 64,
      [progress](storage::Transaction& transaction) {
        for (const Outbox::Progress& of : *progress) {
          transaction.Put(of.log.tenant, kCursorTable, LogKey(of.log.log), EncodeNumber(of.cursor));
          for (const uint64_t offset : of.passed_skips) {
            transaction.Delete(of.log.tenant, kSkipTable, EntryKey(of.log.log, offset));
          }
          for (const uint64_t offset : of.unparked) {
            transaction.Delete(of.log.tenant, kParkedTable, EntryKey(of.log.log, offset));
          }
          for (const auto& [offset, code] : of.parked) {
            transaction.Put(of.log.tenant, kParkedTable, EntryKey(of.log.log, offset),
                            EncodeNumber(static_cast<uint64_t>(code)));
          }
        }
        return absl::OkStatus();
      },
      done, storage::Durability::kBuffered));
  if (!submitted.ok()) done(submitted);
}

// The writer's side
// ------------------------------------------------------------------------------------------------

bool Forwarder::HasRoom(TopicKind kind, size_t bytes) const {
  const uint64_t limit =
      kind == TopicKind::kTelemetry ? options_.queue_bytes - options_.queue_bytes / 8 : options_.queue_bytes;
  const uint64_t queued = queued_bytes_.load(std::memory_order_relaxed);
  return queued == 0 || queued + bytes <= limit;
}

void Forwarder::Stored(std::span<const StoredGroup> groups) {
  const absl::Time now = options_.clock->Now();
  {
    absl::MutexLock lock(&mutex_);
    for (const StoredGroup& group : groups) {
      const AppendOutcome& outcome = group.outcome;
      if (!outcome.offset.has_value()) continue;
      outbox_.Appended(outcome.log.ref, *outcome.offset, outcome.stored, now);
    }
    Count();
  }
  Kick();
}

void Forwarder::Brought(storage::Transaction& transaction, storage::LogRef log, uint64_t offset) {
  transaction.Put(log.tenant, kSkipTable, EntryKey(log.log, offset), "");
  absl::MutexLock lock(&mutex_);
  outbox_.Brought(log, offset);
}

void Forwarder::Committed(storage::LogRef log, uint64_t offset, const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    outbox_.Committed(log, offset, status.ok());
    Count();
  }
  Kick();
}

void Forwarder::Committed(std::span<const StoredGroup> groups, const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  for (const StoredGroup& group : groups) {
    const AppendOutcome& outcome = group.outcome;
    if (outcome.offset.has_value()) outbox_.Committed(outcome.log.ref, *outcome.offset, status.ok());
  }
  Count();
}

uint64_t Forwarder::CursorOf(storage::LogRef log) const {
  absl::MutexLock lock(&mutex_);
  return outbox_.CursorOf(log);
}

// Feeding the publisher
// --------------------------------------------------------------------------------------------

void Forwarder::Kick() {
  {
    absl::MutexLock lock(&mutex_);
    if (feeding_ || !started_ || stopped_) return;
    feeding_ = true;
  }
  executor_.Post([this] { Feed(); });
}

void Forwarder::Feed() {
  std::vector<Payload> groups;
  while (true) {
    groups.clear();
    std::optional<Outbox::Demand> demand;
    {
      absl::MutexLock lock(&mutex_);
      if (!stopped_) demand = outbox_.Next(groups, options_.clock->Now());
      if (!demand.has_value() && groups.empty()) {
        feeding_ = false;
        return;
      }
    }
    if (demand.has_value()) {
      const size_t bytes = demand->retry ? 1 : kReadBytes;
      absl::StatusOr<std::vector<storage::Entry>> entries = store_->Read(demand->log, demand->from, bytes);
      if (!entries.ok()) {
        if (!demand->retry) {
          Log(LogLevel::kError, "queue_unreadable", {{"reason", Std(entries.status().message())}});
        }
        entries = std::vector<storage::Entry>();
      }
      absl::MutexLock lock(&mutex_);
      outbox_.Supply(*demand, *entries, groups, options_.clock->Now());
      if (groups.empty() && entries->empty() && !demand->retry) {
        feeding_ = false;  // the disk cannot be read; the next entry tries again
        return;
      }
    }
    for (Payload& group : groups) {
      // Refuses only once stopped: then the queue in the store has it.
      if (!publisher_.Enqueue(std::move(group)).ok()) break;
    }
  }
}

void Forwarder::OnDurable(uint64_t up_to) {
  std::vector<Outbox::Parked> parked;
  {
    absl::MutexLock lock(&mutex_);
    parked = outbox_.Durable(up_to, options_.clock->Now());
    Count();
  }
  for (const Outbox::Parked& entry : parked) {
    executor_.Post([this, entry] { ReportParked(entry); });
    Log(LogLevel::kError, "record_parked",
        {{"log", entry.log.log},
         {"offset", entry.offset},
         {"code", Std(absl::StatusCodeToString(entry.status.code()))},
         {"reason", Std(entry.status.message())}});
  }
  Kick();
}

// Where others hold all the places that there are for variants, no later try gets one: it is to be seen who
// was kept out.
void Forwarder::ReportParked(const Outbox::Parked& entry) const {
  if (!absl::IsAlreadyExists(entry.status)) return;
  const absl::StatusOr<std::vector<storage::Entry>> entries = store_->Read(entry.log, entry.offset, 1);
  if (!entries.ok() || entries->empty()) return;
  GroupHeaderCache headers;
  const absl::StatusOr<GroupView> group = GroupView::Parse(*entries->front().bytes, headers);
  if (!group.ok()) return;
  Report(EventAt(SecurityEventKind::kConflict, *group, kNextHop,
                 "the next hop has too many other records at this place: parked"));
}

void Forwarder::RetryParked() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
  }
  executor_.Post([this] {
    if (absl::Status status = TryParkedRows(); !status.ok())
      Log(LogLevel::kError, "parked_unreadable", {{"reason", Std(status.message())}});
    Kick();
  });
}

absl::Status Forwarder::TryParkedRows() {
  std::string after;
  for (size_t tried = 0; tried < kMaxParkedTries;) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                        store_->Scan(kTenantNumber, kParkedTable, {.prefix = "", .after = after}));
    if (rows.empty()) return absl::OkStatus();
    absl::MutexLock lock(&mutex_);
    for (const storage::Row& row : rows) {
      KS_ASSIGN_OR_RETURN(const uint64_t code, DecodeNumber(row.value));
      if (Outbox::IsFinal(static_cast<absl::StatusCode>(code))) continue;
      KS_ASSIGN_OR_RETURN(const uint64_t log, DecodeNumber(std::string_view(row.key).substr(0, 8)));
      KS_ASSIGN_OR_RETURN(const uint64_t offset, DecodeEntryOffset(row.key));
      outbox_.TryParked({kTenantNumber, log}, offset, options_.clock->Now());
      ++tried;
    }
    after = rows.back().key;
  }
  return absl::OkStatus();
}

void Forwarder::OnRefused(uint64_t ticket, const GroupRefusal& refusal) {
  absl::MutexLock lock(&mutex_);
  outbox_.Refused(ticket, refusal.status);
}

Forwarder::Stats Forwarder::GetStats() const {
  const Publisher::Stats publisher = publisher_.GetStats();
  Stats out;
  out.connected = publisher.connected;
  out.connections = publisher.connections;
  out.requests = publisher.requests;
  absl::MutexLock lock(&mutex_);
  out.outbox = outbox_.GetStats(options_.clock->Now());
  return out;
}

}  // namespace keystead::gateway
