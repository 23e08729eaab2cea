#include "core/transport/record_log.h"

#include <algorithm>
#include <utility>

#include "core/base/big_endian.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/transport/record_log_state.h"

namespace keystead {
namespace {

constexpr size_t kMaxTopicsInMemory = 1 << 18;
constexpr size_t kReadBytes = 1 << 20;

}  // namespace

RecordLogChanges::RecordLogChanges() : rep_(std::make_unique<Rep>()) {}
RecordLogChanges::~RecordLogChanges() = default;
RecordLogChanges::RecordLogChanges(RecordLogChanges&&) noexcept = default;
RecordLogChanges& RecordLogChanges::operator=(RecordLogChanges&&) noexcept = default;

// Topics
// ------------------------------------------------------------------------------------------------------

absl::StatusOr<TopicLog> RecordLogState::OpenTopic(storage::Transaction& transaction, const TopicPlace& key,
                                                   RecordLogChanges& changes) {
  if (const auto found = topics_.find(key); found != topics_.end()) return found->second;
  const std::string row = rows::TopicKeyOf(key.instantiation, key.topic);
  KS_ASSIGN_OR_RETURN(const auto value, transaction.Get(key.tenant, kTopicTable, row));
  if (topics_.size() >= kMaxTopicsInMemory) topics_.clear();
  if (value.has_value()) {
    KS_ASSIGN_OR_RETURN(const TopicLog log, rows::DecodeTopicLog(key.tenant, *value));
    topics_.emplace(key, log);
    return log;
  }
  uint64_t number = 0;
  KS_ASSIGN_OR_RETURN(const auto next, transaction.Get(key.tenant, kTopicTable, rows::kNextLogKey));
  if (next.has_value()) {
    KS_ASSIGN_OR_RETURN(number, rows::DecodeNumber(*next));
  }
  std::string following;
  PutNumber(following, number + 1);
  transaction.Put(key.tenant, kTopicTable, rows::kNextLogKey, following);
  const TopicLog log{{key.tenant, number}, options_.random->NewId<LogId>()};
  transaction.Put(key.tenant, kTopicTable, row, rows::EncodeTopicLog(log));
  Rep(changes).created.push_back(key);
  topics_.emplace(key, log);
  return log;
}

absl::StatusOr<TopicLog> RecordLogState::TopicOf(storage::Transaction& transaction, uint32_t tenant,
                                                 const GroupView& view, RecordLogChanges& changes) {
  const std::shared_ptr<const GroupHeader>& header = view.shared_header();
  HeaderSlot& slot = header_slots_[absl::HashOf(header.get()) % header_slots_.size()];
  if (slot.header == header && slot.tenant == tenant) return slot.log;
  KS_ASSIGN_OR_RETURN(const TopicLog log,
                      OpenTopic(transaction, {tenant, header->instantiation, header->topic}, changes));
  slot = {header, tenant, log};
  return log;
}

// Loading and forgetting
// --------------------------------------------------------------------------------------

absl::StatusOr<LogState*> RecordLogState::Use(storage::Transaction& transaction, storage::LogRef ref,
                                              RecordLogChanges& changes) {
  LogState* log = nullptr;
  if (const auto found = logs_.find(ref); found != logs_.end()) {
    log = found->second;
    if (log->self != lru_.begin()) lru_.splice(lru_.begin(), lru_, log->self);
  } else {
    lru_.emplace_front();
    log = &lru_.front();
    log->ref = ref;
    log->self = lru_.begin();
    if (absl::Status status = Load(transaction, *log); !status.ok()) {
      Recharge(*log, log->stream_bytes, 0);
      lru_.pop_front();
      return status;
    }
    logs_.emplace(ref, log);
    EvictOld();
  }
  if (log->poisoned) return absl::UnavailableError("an earlier write to this log failed");
  RecordLogChanges::Rep& rep = Rep(changes);
  if (rep.id == 0) rep.id = ++next_changes_id_;
  if (log->touched_by != rep.id) {
    log->touched_by = rep.id;
    log->touch_slot = rep.touched.size();
    rep.touched.push_back({log, log->end, log->end});
    ++log->in_use;
  }
  return log;
}

absl::Status RecordLogState::Load(storage::Transaction& transaction, LogState& log) {
  counters_.loads.fetch_add(1, std::memory_order_relaxed);
  KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, transaction.GetBounds(log.ref));
  log.first_kept = bounds.first;
  log.end = bounds.end;
  KS_ASSIGN_OR_RETURN(const auto head,
                      transaction.Get(log.ref.tenant, kStreamTable, rows::HeadKey(log.ref.log)));
  if (head.has_value()) {
    KS_ASSIGN_OR_RETURN(log.head, rows::DecodeHead(*head));
  }
  return Replay(transaction, log);
}

absl::Status RecordLogState::Replay(storage::Transaction& transaction, LogState& log) {
  uint64_t tail_bytes = 0;
  GroupHeaderCache headers;
  for (uint64_t next = std::max(log.head.checkpoint, log.first_kept); next < log.end;) {
    // A log that is not in memory is nobody's in the open batch, so all of it can be had from the store.
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Entry> entries, store_->Read(log.ref, next, kReadBytes));
    if (entries.empty()) return absl::DataLossError("a log ends before its end");
    for (const storage::Entry& entry : entries) {
      const auto view = GroupView::Parse(*entry.bytes, headers);
      if (!view.ok()) return absl::DataLossError("a stored group does not parse");
      const GroupHeader& header = view->header();
      KS_ASSIGN_OR_RETURN(StreamState* const stream,
                          Stream(transaction, log, {header.sender, header.epoch, header.stream}));
      const size_t before = stream->bytes();
      Note(*stream, entry.offset, view->records());
      Recharge(log, before, stream->bytes());
      tail_bytes += entry.bytes->size();
      ++log.groups_since;
    }
    next = entries.back().offset + 1;
  }
  // Of entries that were trimmed since the checkpoint nobody knows the size; trimmed_bytes holds at least
  // them.
  log.total_bytes =
      (log.first_kept > log.head.checkpoint ? log.head.trimmed_bytes : log.head.checkpoint_bytes) +
      tail_bytes;
  return absl::OkStatus();
}

absl::StatusOr<StreamState*> RecordLogState::Stream(storage::Transaction& transaction, LogState& log,
                                                    const StreamKey& key) {
  if (const auto known = log.streams.find(key); known != log.streams.end()) return &known->second;
  // Those that did not move since the checkpoint are in rows, and read again when they come again.
  if (log.streams.size() >= options_.max_streams_per_log) {
    absl::erase_if(log.streams, [&](const auto& entry) {
      if (entry.second.moved) return false;
      Recharge(log, entry.second.bytes(), 0);
      return true;
    });
  }
  const auto at = log.streams.try_emplace(key).first;
  auto row = transaction.Get(log.ref.tenant, kStreamTable, rows::StreamKeyOf(log.ref.log, key));
  absl::Status status = row.status();
  if (row.ok() && row->has_value()) {
    auto decoded = rows::DecodeStream(**row);
    status = decoded.status();
    if (decoded.ok()) at->second = *std::move(decoded);
  }
  if (!status.ok()) {
    log.streams.erase(at);
    return status;
  }
  Recharge(log, 0, at->second.bytes());
  return &at->second;
}

void RecordLogState::Erase(LogState* log) {
  // Not of an evicted log, but of one whose task failed, offsets will be given out again.
  if (log->poisoned) digests_.Forget(log->ref, log->given_again);
  Recharge(*log, log->stream_bytes, 0);
  logs_.erase(log->ref);
  lru_.erase(log->self);
  counters_.logs.store(logs_.size(), std::memory_order_relaxed);
}

void RecordLogState::EvictOld() {
  const auto too_much = [this] {
    return lru_.size() > options_.max_logs_in_memory || stream_bytes_ > options_.max_stream_bytes;
  };
  // Never the newest: it may be on its way into use.
  while (lru_.size() > 1 && lru_.back().in_use == 0 && too_much()) Erase(&lru_.back());
  counters_.logs.store(logs_.size(), std::memory_order_relaxed);
}

void RecordLogState::Recharge(LogState& log, size_t before, size_t after) {
  if (before == after) return;
  log.stream_bytes += after - before;  // unsigned: right also when it is less
  stream_bytes_ += after - before;
  counters_.stream_bytes.store(stream_bytes_, std::memory_order_relaxed);
}

void RecordLogState::Finish(RecordLogChanges& changes, const absl::Status& status) {
  RecordLogChanges::Rep& rep = Rep(changes);
  for (const RecordLogChanges::Rep::Touch& touch : rep.touched) {
    LogState& log = *touch.log;
    --log.in_use;
    if (!status.ok()) {
      log.poisoned = true;
      log.given_again = std::min(log.given_again, touch.start);
    }
    if (log.poisoned) {
      if (log.in_use == 0) Erase(&log);
      continue;
    }
    const auto committed = std::find_if(log.pending.begin(), log.pending.end(),
                                        [&](const auto& entry) { return entry.first >= touch.end; });
    log.pending.erase(log.pending.begin(), committed);
  }
  if (status.ok()) {
    for (const storage::LogRef& log : rep.detached) LetGo(log);
  }
  if (!status.ok()) {
    for (const TopicPlace& key : rep.created) topics_.erase(key);
    if (!rep.created.empty()) header_slots_.fill({});
  }
  if (stream_bytes_ > options_.max_stream_bytes) EvictOld();
  rep = {};
}

// Of a log that nobody finds any more.
void RecordLogState::LetGo(storage::LogRef ref) {
  digests_.Forget(ref, 0);
  const auto found = logs_.find(ref);
  if (found == logs_.end()) return;
  found->second->poisoned = true;
  if (found->second->in_use == 0) Erase(found->second);
}

void RecordLogState::Forget(uint32_t tenant) {
  for (auto log = lru_.begin(); log != lru_.end();) {
    LogState* const state = &*log++;
    if (state->ref.tenant != tenant) continue;
    state->poisoned = true;
    if (state->in_use == 0) Erase(state);
  }
  digests_.Clear();
  absl::erase_if(topics_, [&](const auto& entry) { return entry.first.tenant == tenant; });
  header_slots_.fill({});
}

RecordLog::Stats RecordLogState::GetStats() const {
  const auto get = [](const std::atomic<uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  return {get(counters_.groups),   get(counters_.records),     get(counters_.duplicates),
          get(counters_.variants), get(counters_.refused),     get(counters_.look_ups),
          get(counters_.reads),    get(counters_.read_bytes),  get(counters_.loads),
          get(counters_.logs),     get(counters_.stream_bytes)};
}

// The public face
// -----------------------------------------------------------------------------------------------

RecordLog::RecordLog(storage::LogStore* store, const Options& options)
    : state_(std::make_unique<RecordLogState>(store, options)) {}
RecordLog::~RecordLog() = default;

absl::StatusOr<TopicLog> RecordLog::OpenTopic(storage::Transaction& transaction, const TopicPlace& key,
                                              RecordLogChanges& changes) {
  return state_->OpenTopic(transaction, key, changes);
}
absl::StatusOr<AppendOutcome> RecordLog::Append(storage::Transaction& transaction, uint32_t tenant,
                                                const GroupView& view, const Payload& bytes,
                                                const RecordSource& source, RecordLogChanges& changes) {
  return state_->Append(transaction, tenant, view, bytes, source, changes);
}
absl::StatusOr<uint64_t> RecordLog::Trim(storage::Transaction& transaction, storage::LogRef log,
                                         const Retention& retention, RecordLogChanges& changes) {
  return state_->Trim(transaction, log, retention, changes);
}
absl::Status RecordLog::TrimTo(storage::Transaction& transaction, storage::LogRef log, uint64_t first_kept,
                               RecordLogChanges& changes) {
  return state_->TrimTo(transaction, log, first_kept, changes);
}
absl::StatusOr<uint64_t> RecordLog::BytesOf(storage::Transaction& transaction, storage::LogRef log,
                                            RecordLogChanges& changes) {
  return state_->BytesOf(transaction, log, changes);
}
absl::StatusOr<RecordLog::Detached> RecordLog::DetachTopics(storage::Transaction& transaction,
                                                            uint32_t tenant,
                                                            const InstantiationId& instantiation,
                                                            RecordLogChanges& changes) {
  return state_->DetachTopics(transaction, tenant, instantiation, changes);
}
std::string RecordLog::RowPrefixOf(uint64_t log) {
  std::string out;
  PutNumber(out, log);
  return out;
}
void RecordLog::Finish(RecordLogChanges& changes, const absl::Status& status) {
  state_->Finish(changes, status);
}
void RecordLog::Forget(uint32_t tenant) { state_->Forget(tenant); }
RecordLog::Stats RecordLog::GetStats() const { return state_->GetStats(); }
storage::LogStore& RecordLog::store() const { return state_->store(); }

absl::StatusOr<std::optional<TopicLog>> RecordLog::FindTopic(const TopicPlace& key) const {
  KS_ASSIGN_OR_RETURN(const auto value,
                      store().Get(key.tenant, kTopicTable, rows::TopicKeyOf(key.instantiation, key.topic)));
  if (!value.has_value()) return std::optional<TopicLog>();
  KS_ASSIGN_OR_RETURN(const TopicLog log, rows::DecodeTopicLog(key.tenant, *value));
  return std::optional<TopicLog>(log);
}

absl::StatusOr<std::vector<RecordLog::NamedLog>> RecordLog::TopicsOf(
    uint32_t tenant, const InstantiationId& instantiation) const {
  std::vector<NamedLog> out;
  const std::string prefix = rows::TopicPrefix(instantiation);
  std::string after;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> found,
                        store().Scan(tenant, kTopicTable, {.prefix = prefix, .after = after}));
    if (found.empty()) break;
    for (const storage::Row& row : found) {
      KS_ASSIGN_OR_RETURN(TopicPlace key, rows::DecodeTopicKey(tenant, row.key));
      KS_ASSIGN_OR_RETURN(const TopicLog log, rows::DecodeTopicLog(tenant, row.value));
      out.push_back({std::move(key.topic), log});
    }
    after = found.back().key;
  }
  // A store may keep its rows in another order than that of their names.
  std::sort(out.begin(), out.end(),
            [](const NamedLog& a, const NamedLog& b) { return a.topic.str() < b.topic.str(); });
  return out;
}

absl::StatusOr<std::vector<RecordLog::Segment>> RecordLog::SegmentsOf(storage::LogRef log) const {
  std::vector<Segment> out;
  KS_ASSIGN_OR_RETURN(const auto row, store().Get(log.tenant, kStreamTable, rows::HeadKey(log.log)));
  if (!row.has_value()) return out;
  KS_ASSIGN_OR_RETURN(const LogHead head, rows::DecodeHead(*row));
  uint64_t before = head.trimmed_bytes;
  std::string after;
  while (true) {
    KS_ASSIGN_OR_RETURN(
        const std::vector<storage::Row> found,
        store().Scan(log.tenant, kStreamTable, {.prefix = rows::CheckpointPrefix(log.log), .after = after}));
    if (found.empty()) return out;
    for (const storage::Row& checkpoint_row : found) {
      KS_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                          rows::DecodeCheckpoint(checkpoint_row.key, checkpoint_row.value));
      out.push_back({absl::FromUnixMillis(checkpoint.unix_ms), checkpoint.bytes - before});
      before = checkpoint.bytes;
    }
    after = found.back().key;
  }
}

absl::StatusOr<std::vector<RecordLog::OwnedLog>> RecordLog::Logs(uint32_t tenant,
                                                                 const std::optional<TopicPlace>& after,
                                                                 size_t max) const {
  const std::string from = after ? rows::TopicKeyOf(after->instantiation, after->topic) : std::string();
  KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> found,
                      store().Scan(tenant, kTopicTable, {.prefix = "t", .after = from, .max_rows = max}));
  std::vector<OwnedLog> out;
  for (const storage::Row& row : found) {
    KS_ASSIGN_OR_RETURN(TopicPlace key, rows::DecodeTopicKey(tenant, row.key));
    KS_ASSIGN_OR_RETURN(const TopicLog log, rows::DecodeTopicLog(tenant, row.value));
    out.push_back({std::move(key), log});
  }
  return out;
}

}  // namespace keystead
