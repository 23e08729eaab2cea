// Retention: what is discarded, and what is forgotten with it.
#include <algorithm>
#include <optional>

#include "core/base/status.h"
#include "core/transport/record_log_state.h"

namespace keystead {
namespace {

constexpr size_t kSweepStreams = 32;
constexpr size_t kSweepRows = 1000;

}  // namespace

absl::StatusOr<uint64_t> RecordLogState::Trim(storage::Transaction& transaction, storage::LogRef log,
                                              const Retention& retention, RecordLogChanges& changes) {
  KS_ASSIGN_OR_RETURN(LogState* const state, Use(transaction, log, changes));
  KS_RETURN_IF_ERROR(TrimBehind(transaction, *state, 0, retention));
  return state->first_kept;
}

absl::Status RecordLogState::TrimTo(storage::Transaction& transaction, storage::LogRef log,
                                    uint64_t first_kept, RecordLogChanges& changes) {
  KS_ASSIGN_OR_RETURN(LogState* const state, Use(transaction, log, changes));
  return TrimBehind(transaction, *state, std::min(first_kept, state->end), Retention());
}

absl::StatusOr<uint64_t> RecordLogState::BytesOf(storage::Transaction& transaction, storage::LogRef log,
                                                 RecordLogChanges& changes) {
  KS_ASSIGN_OR_RETURN(const LogState* const state, Use(transaction, log, changes));
  return state->total_bytes - state->head.trimmed_bytes;
}

// What does not open any more cannot be counted, and must not keep the rest from being taken away.
absl::StatusOr<uint64_t> RecordLogState::BytesAsFarAsKnown(storage::Transaction& transaction,
                                                           storage::LogRef log, RecordLogChanges& changes) {
  const absl::StatusOr<uint64_t> exact = BytesOf(transaction, log, changes);
  if (exact.ok() || !(absl::IsDataLoss(exact.status()) || absl::IsNotFound(exact.status()))) return exact;
  KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(log.tenant, kStreamTable, rows::HeadKey(log.log)));
  if (!row.has_value()) return 0;
  KS_ASSIGN_OR_RETURN(const LogHead head, rows::DecodeHead(*row));
  return head.checkpoint_bytes - std::min(head.checkpoint_bytes, head.trimmed_bytes);
}

absl::StatusOr<RecordLog::Detached> RecordLogState::DetachTopics(storage::Transaction& transaction,
                                                                 uint32_t tenant,
                                                                 const InstantiationId& instantiation,
                                                                 RecordLogChanges& changes) {
  RecordLog::Detached out;
  const std::string prefix = rows::TopicPrefix(instantiation);
  KS_ASSIGN_OR_RETURN(
      const std::vector<storage::Row> found,
      transaction.Scan(tenant, kTopicTable, {.prefix = prefix, .after = "", .max_rows = SIZE_MAX}));
  for (const storage::Row& row : found) {
    KS_ASSIGN_OR_RETURN(const TopicPlace place, rows::DecodeTopicKey(tenant, row.key));
    KS_ASSIGN_OR_RETURN(const TopicLog log, rows::DecodeTopicLog(tenant, row.value));
    KS_ASSIGN_OR_RETURN(const uint64_t bytes, BytesAsFarAsKnown(transaction, log.ref, changes));
    KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, transaction.GetBounds(log.ref));
    out.bytes += bytes;
    out.groups += bounds.end - bounds.first;
    out.logs.push_back(log.ref.log);
    Rep(changes).detached.push_back(log.ref);
    transaction.Delete(tenant, kTopicTable, row.key);
    topics_.erase(place);
  }
  header_slots_.fill({});
  return out;
}

absl::StatusOr<std::optional<Checkpoint>> RecordLogState::Oldest(storage::Transaction& transaction,
                                                                 LogState& log) {
  if (log.oldest.has_value() || log.head.checkpoint <= log.oldest_behind) return log.oldest;
  // Beginning behind the last one removed spares the walk over what RocksDB has not cleared away yet.
  const std::string after = rows::CheckpointKey(log.ref.log, log.oldest_behind);
  KS_ASSIGN_OR_RETURN(
      const std::vector<storage::Row> found,
      transaction.Scan(log.ref.tenant, kStreamTable,
                       {.prefix = rows::CheckpointPrefix(log.ref.log), .after = after, .max_rows = 1}));
  if (!found.empty()) {
    KS_ASSIGN_OR_RETURN(log.oldest, rows::DecodeCheckpoint(found.front().key, found.front().value));
  }
  return log.oldest;
}

absl::Status RecordLogState::TrimBehind(storage::Transaction& transaction, LogState& log, uint64_t first_kept,
                                        const Retention& retention) {
  const int64_t oldest_ms = retention.max_age == absl::InfiniteDuration()
                                ? INT64_MIN
                                : absl::ToUnixMillis(options_.clock->Now() - retention.max_age);
  uint64_t keep_from = first_kept;
  bool passed = false;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::optional<Checkpoint> oldest, Oldest(transaction, log));
    if (!oldest.has_value() || oldest->offset > retention.not_beyond) break;
    const bool too_much = log.total_bytes - log.head.trimmed_bytes > retention.max_bytes;
    if (oldest->offset > first_kept && !too_much && oldest->unix_ms >= oldest_ms) break;
    transaction.Delete(log.ref.tenant, kStreamTable, rows::CheckpointKey(log.ref.log, oldest->offset));
    keep_from = std::max(keep_from, oldest->offset);
    log.head.trimmed_bytes = std::max(log.head.trimmed_bytes, oldest->bytes);
    log.oldest_behind = oldest->offset;
    log.oldest.reset();
    passed = true;
  }
  if (keep_from <= log.first_kept) return absl::OkStatus();
  KS_RETURN_IF_ERROR(transaction.Trim(log.ref, keep_from));
  log.first_kept = keep_from;
  if (keep_from == log.end) log.head.trimmed_bytes = log.total_bytes;
  transaction.Put(log.ref.tenant, kStreamTable, rows::HeadKey(log.ref.log), rows::EncodeHead(log.head));
  return passed ? SweepStreams(transaction, log) : absl::OkStatus();
}

// Removes rows of streams of which nothing is left, a few at a time.
absl::Status RecordLogState::SweepStreams(storage::Transaction& transaction, LogState& log) {
  const uint32_t tenant = log.ref.tenant;
  KS_ASSIGN_OR_RETURN(
      const std::vector<storage::Row> found,
      transaction.Scan(
          tenant, kStreamTable,
          {.prefix = rows::StreamPrefix(log.ref.log), .after = log.sweep_after, .max_rows = kSweepStreams}));
  log.sweep_after = found.size() < kSweepStreams ? std::string() : found.back().key;
  for (const storage::Row& row : found) {
    KS_ASSIGN_OR_RETURN(const StreamKey key, rows::DecodeStreamKey(row.key));
    KS_ASSIGN_OR_RETURN(const StreamState stored, rows::DecodeStream(row.value));
    if (const auto live = log.streams.find(key); live != log.streams.end()) {
      if (live->second.last_offset >= log.first_kept) continue;
      Recharge(log, live->second.bytes(), 0);
      log.streams.erase(live);
    }
    if (stored.last_offset >= log.first_kept) continue;
    bool all = true;
    for (const std::string& prefix :
         {rows::PositionPrefix(log.ref.log, key), rows::LatePrefix(log.ref.log, key)}) {
      KS_ASSIGN_OR_RETURN(
          const std::vector<storage::Row> rows_of_stream,
          transaction.Scan(tenant, kStreamTable, {.prefix = prefix, .after = "", .max_rows = kSweepRows}));
      for (const storage::Row& dead : rows_of_stream) transaction.Delete(tenant, kStreamTable, dead.key);
      all = all && rows_of_stream.size() < kSweepRows;
    }
    if (all) transaction.Delete(tenant, kStreamTable, row.key);
  }
  return absl::OkStatus();
}

}  // namespace keystead
