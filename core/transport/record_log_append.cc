// Appending groups.
#include <algorithm>
#include <utility>

#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "core/transport/record_log_state.h"

namespace keystead {
namespace {

constexpr size_t kMaxSegmentBytes = 1 << 20;  // between checkpoints, but for the group that goes beyond it

}  // namespace

absl::StatusOr<AppendOutcome> RecordLogState::Append(storage::Transaction& transaction, uint32_t tenant,
                                                     const GroupView& view, const Payload& bytes,
                                                     const RecordSource& source, RecordLogChanges& changes) {
  AppendOutcome outcome;
  KS_ASSIGN_OR_RETURN(outcome.log, TopicOf(transaction, tenant, view, changes));
  KS_ASSIGN_OR_RETURN(LogState* const log, Use(transaction, outcome.log.ref, changes));
  const StreamKey key{view.header().sender, view.header().epoch, view.header().stream};
  KS_ASSIGN_OR_RETURN(StreamState* const stream, Stream(transaction, *log, key));
  const Appending to{transaction, *log, *stream, key, source, Rep(changes)};
  const size_t before = stream->bytes();
  if (view.first_sequence() >= stream->have.end()) {
    KS_RETURN_IF_ERROR(Store(to, view.records(), bytes, outcome));
  } else {
    counters_.look_ups.fetch_add(1, std::memory_order_relaxed);
    KS_RETURN_IF_ERROR(AppendWithLookUp(to, view, bytes, outcome));
  }
  Recharge(*log, before, stream->bytes());
  Rep(changes).touched[log->touch_slot].end = log->end;
  if (outcome.offset.has_value() && (log->groups_since >= options_.checkpoint_groups ||
                                     log->total_bytes - log->head.checkpoint_bytes >= kMaxSegmentBytes)) {
    KS_RETURN_IF_ERROR(WriteCheckpoint(transaction, *log));
  }
  return outcome;
}

// Appends a group of which every record is to be stored.
absl::Status RecordLogState::Store(const Appending& to, std::span<const RecordView> records,
                                   const Payload& bytes, AppendOutcome& outcome) {
  LogState& log = to.log;
  StreamState& stream = to.stream;
  KS_ASSIGN_OR_RETURN(const uint64_t offset, to.transaction.Append(log.ref, bytes));
  const uint64_t in_order_from = stream.have.end();
  for (const RecordView& record : records) {
    if (record.sequence >= in_order_from) break;
    to.transaction.Put(log.ref.tenant, kStreamTable,
                       rows::LateKey(log.ref.log, to.key, record.sequence, offset),
                       rows::EncodeLate(crypto::Sha256(record.cose), to.source.publisher));
    stream.has_late = true;
  }
  Note(stream, offset, records);
  log.end = offset + 1;
  log.pending.emplace_back(offset, bytes);
  log.total_bytes += bytes->size();
  ++log.groups_since;
  outcome.offset = offset;
  outcome.stored = bytes;
  outcome.new_records = static_cast<uint32_t>(records.size());
  counters_.groups.fetch_add(1, std::memory_order_relaxed);
  counters_.records.fetch_add(records.size(), std::memory_order_relaxed);
  return absl::OkStatus();
}

void RecordLogState::Note(StreamState& stream, uint64_t offset, std::span<const RecordView> records) {
  const uint64_t in_order_from = stream.have.end();
  if (records.front().sequence < in_order_from) stream.has_late = true;
  if (records.back().sequence >= in_order_from) {
    const auto first = std::find_if(records.begin(), records.end(), [&](const RecordView& record) {
      return record.sequence >= in_order_from;
    });
    stream.places.push_back({first->sequence, offset});
  }
  for (size_t i = 0; i < records.size();) {
    const uint64_t first = records[i].sequence;
    uint64_t end = first + 1;
    for (++i; i < records.size() && records[i].sequence == end; ++i) ++end;
    stream.have.Add(first, end, kMaxIntervals);
  }
  stream.last_offset = offset;
  stream.moved = true;
}

absl::Status RecordLogState::WriteCheckpoint(storage::Transaction& transaction, LogState& log) {
  const uint32_t tenant = log.ref.tenant;
  for (auto& [key, stream] : log.streams) {
    if (!stream.moved) continue;
    transaction.Put(tenant, kStreamTable, rows::StreamKeyOf(log.ref.log, key), rows::EncodeStream(stream));
    if (!stream.places.empty()) {
      transaction.Put(tenant, kStreamTable, rows::PositionKey(log.ref.log, key, stream.places.front().first),
                      rows::EncodePlaces(stream.have.end(), stream.places));
    }
    stream.moved = false;
    stream.places.clear();
  }
  log.head.checkpoint = log.end;
  log.head.checkpoint_bytes = log.total_bytes;
  log.groups_since = 0;
  const Checkpoint checkpoint{log.end, log.total_bytes, absl::ToUnixMillis(options_.clock->Now())};
  transaction.Put(tenant, kStreamTable, rows::CheckpointKey(log.ref.log, checkpoint.offset),
                  rows::EncodeCheckpoint(checkpoint));
  transaction.Put(tenant, kStreamTable, rows::HeadKey(log.ref.log), rows::EncodeHead(log.head));
  return absl::OkStatus();
}

}  // namespace keystead
