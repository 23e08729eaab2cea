// Appending groups and finding what is already stored at their places.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/transport/record_log_state.h"

namespace keystead {
namespace {

constexpr size_t kMaxSegmentBytes = 1 << 20;  // but for the group that goes beyond it
constexpr size_t kMaxSegments = 32;           // in memory, for look-ups

// The record's bytes in a stored group, or an empty view.
ByteView CoseAt(const FoundGroup& group, uint64_t sequence) {
  const auto at =
      std::lower_bound(group.records.begin(), group.records.end(), sequence,
                       [](const RecordView& record, uint64_t value) { return record.sequence < value; });
  return at != group.records.end() && at->sequence == sequence ? at->cose : ByteView();
}

}  // namespace

absl::StatusOr<AppendOutcome> RecordLogState::Append(storage::Transaction& transaction, uint32_t tenant,
                                                     const GroupView& view, const Payload& bytes,
                                                     RecordLogChanges& changes) {
  AppendOutcome outcome;
  KS_ASSIGN_OR_RETURN(outcome.log, TopicOf(transaction, tenant, view, changes));
  KS_ASSIGN_OR_RETURN(LogState* const log, Use(transaction, outcome.log.ref, changes));
  const StreamKey key{view.header().sender, view.header().epoch, view.header().stream};
  KS_ASSIGN_OR_RETURN(StreamState* const stream, Stream(transaction, *log, key));
  if (view.first_sequence() >= stream->have.end()) {
    KS_RETURN_IF_ERROR(Store(transaction, *log, *stream, key, view.records(), bytes, outcome));
  } else {
    counters_.look_ups.fetch_add(1, std::memory_order_relaxed);
    KS_RETURN_IF_ERROR(AppendWithLookUp(transaction, *log, *stream, key, view, bytes, outcome));
  }
  Rep(changes).touched[log->touch_slot].end = log->end;
  if (outcome.offset.has_value() && (log->groups_since >= options_.checkpoint_groups ||
                                     log->total_bytes - log->head.checkpoint_bytes >= kMaxSegmentBytes)) {
    KS_RETURN_IF_ERROR(WriteCheckpoint(transaction, *log));
  }
  return outcome;
}

// Appends a group of which every record is to be stored.
absl::Status RecordLogState::Store(storage::Transaction& transaction, LogState& log, StreamState& stream,
                                   const StreamKey& key, std::span<const RecordView> records,
                                   const Payload& bytes, AppendOutcome& outcome) {
  KS_ASSIGN_OR_RETURN(const uint64_t offset, transaction.Append(log.ref, bytes));
  const uint64_t in_order_from = stream.have.end();
  for (const RecordView& record : records) {
    if (record.sequence >= in_order_from) break;
    transaction.Put(log.ref.tenant, kStreamTable, rows::LateKey(log.ref.log, key, record.sequence, offset),
                    "");
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
  if (!stream.segment_first.has_value() && records.back().sequence >= in_order_from) {
    for (const RecordView& record : records) {
      if (record.sequence < in_order_from) continue;
      stream.segment_first = record.sequence;
      break;
    }
  }
  for (size_t i = 0; i < records.size();) {
    const uint64_t first = records[i].sequence;
    uint64_t end = first + 1;
    for (++i; i < records.size() && records[i].sequence == end; ++i) ++end;
    stream.have.Add(first, end, limits::kMaxGapsPerStream);
  }
  stream.last_offset = offset;
  stream.moved = true;
}

absl::Status RecordLogState::WriteCheckpoint(storage::Transaction& transaction, LogState& log) {
  const uint32_t tenant = log.ref.tenant;
  const Segment segment{log.head.checkpoint, log.end};
  for (auto& [key, stream] : log.streams) {
    if (!stream.moved) continue;
    transaction.Put(tenant, kStreamTable, rows::StreamKeyOf(log.ref.log, key), rows::EncodeStream(stream));
    if (stream.segment_first.has_value()) {
      transaction.Put(tenant, kStreamTable, rows::PositionKey(log.ref.log, key, *stream.segment_first),
                      rows::EncodeSegment(segment));
    }
    stream.moved = false;
    stream.segment_first.reset();
  }
  // All of them are in rows now; those that come again are read again.
  if (log.streams.size() > options_.max_streams_per_log) log.streams.clear();
  log.head.checkpoint = log.end;
  log.head.checkpoint_bytes = log.total_bytes;
  log.groups_since = 0;
  const Checkpoint checkpoint{log.end, log.total_bytes, absl::ToUnixMillis(options_.clock->Now())};
  transaction.Put(tenant, kStreamTable, rows::CheckpointKey(log.ref.log, checkpoint.offset),
                  rows::EncodeCheckpoint(checkpoint));
  transaction.Put(tenant, kStreamTable, rows::HeadKey(log.ref.log), rows::EncodeHead(log.head));
  return absl::OkStatus();
}

// Looking up
// ----------------------------------------------------------------------------------------------------

absl::Status RecordLogState::AppendWithLookUp(storage::Transaction& transaction, LogState& log,
                                              StreamState& stream, const StreamKey& key,
                                              const GroupView& view, const Payload& bytes,
                                              AppendOutcome& outcome) {
  const std::span<const RecordView> records = view.records();
  std::vector<RecordView> wanted;
  uint32_t variants = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    const RecordView& record = records[i];
    if (!stream.have.Contains(record.sequence)) {
      wanted.push_back(record);
      continue;
    }
    KS_ASSIGN_OR_RETURN(const Found at_place, Find(transaction, log, stream, key, record.sequence));
    const std::vector<const FoundGroup*>& found = at_place.groups;
    if (i == 0 && std::any_of(found.begin(), found.end(),
                              [&](const FoundGroup* group) { return *group->bytes == *bytes; })) {
      outcome.duplicates = static_cast<uint32_t>(records.size());
      break;
    }
    const bool is_duplicate = std::any_of(found.begin(), found.end(), [&](const FoundGroup* group) {
      return Equal(CoseAt(*group, record.sequence), record.cose);
    });
    if (is_duplicate) {
      ++outcome.duplicates;
    } else if (found.size() < limits::kMaxVariantsPerSequence) {
      wanted.push_back(record);
      if (!found.empty()) ++variants;
    } else if (!outcome.refused.empty() && i > 0 &&
               outcome.refused.back().last_sequence == records[i - 1].sequence) {
      outcome.refused.back().last_sequence = record.sequence;
      counters_.refused.fetch_add(1, std::memory_order_relaxed);
    } else {
      outcome.refused.push_back({record.sequence, record.sequence});
      counters_.refused.fetch_add(1, std::memory_order_relaxed);
    }
  }
  outcome.variants = variants;
  counters_.duplicates.fetch_add(outcome.duplicates, std::memory_order_relaxed);
  counters_.variants.fetch_add(variants, std::memory_order_relaxed);
  if (wanted.empty()) return absl::OkStatus();
  if (wanted.size() == records.size()) return Store(transaction, log, stream, key, records, bytes, outcome);
  GroupBuilder builder{std::string(view.header_bytes())};
  for (const RecordView& record : wanted) KS_RETURN_IF_ERROR(builder.Append(record.sequence, record.cose));
  return Store(transaction, log, stream, key, wanted, builder.Take(), outcome);
}

absl::StatusOr<Found> RecordLogState::Find(storage::Transaction& transaction, const LogState& log,
                                           const StreamState& stream, const StreamKey& key,
                                           uint64_t sequence) {
  Found out;
  const auto look_in = [&](const Segment& range) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const auto segment, ReadSegment(log, range));
    for (const FoundGroup& group : segment->groups) {
      // What retention has discarded is not there, although we may still remember it.
      if (group.offset < log.first_kept || group.stream != key || CoseAt(group, sequence).empty()) continue;
      const bool known = std::any_of(out.groups.begin(), out.groups.end(),
                                     [&](const FoundGroup* other) { return other->offset == group.offset; });
      if (!known) out.groups.push_back(&group);
    }
    out.segments.push_back(segment);
    return absl::OkStatus();
  };

  // Where it would be if it came in order.
  if (stream.segment_first.has_value() && *stream.segment_first <= sequence) {
    KS_RETURN_IF_ERROR(look_in({log.head.checkpoint, log.end}));
  } else {
    const std::string prefix = rows::PositionPrefix(log.ref.log, key);
    // The row with the greatest sequence that is not above ours: keys hold the complement.
    const std::string after = rows::PositionKey(log.ref.log, key, sequence + 1);
    KS_ASSIGN_OR_RETURN(
        const std::vector<storage::Row> position,
        transaction.Scan(log.ref.tenant, kStreamTable, {.prefix = prefix, .after = after, .max_rows = 1}));
    if (!position.empty()) {
      KS_ASSIGN_OR_RETURN(const Segment range, rows::DecodeSegment(position.front().value));
      KS_RETURN_IF_ERROR(look_in(range));
    }
  }
  if (!stream.has_late) return out;
  std::string prefix = rows::LatePrefix(log.ref.log, key);
  rows::PutU64(prefix, sequence);
  KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> late,
                      transaction.Scan(log.ref.tenant, kStreamTable, {.prefix = prefix, .after = ""}));
  for (const storage::Row& row : late) {
    KS_ASSIGN_OR_RETURN(const uint64_t offset, rows::DecodeLateOffset(row.key));
    if (offset >= log.first_kept) KS_RETURN_IF_ERROR(look_in({offset, offset + 1}));
  }
  return out;
}

absl::StatusOr<std::shared_ptr<const SegmentCache>> RecordLogState::ReadSegment(const LogState& log,
                                                                                const Segment& range) {
  const auto cached = std::find_if(segments_.begin(), segments_.end(), [&](const auto& segment) {
    return segment->log == log.ref && segment->range.first == range.first && segment->range.end <= range.end;
  });
  if (cached != segments_.end()) {
    segments_.splice(segments_.begin(), segments_, cached);
    SegmentCache& segment = *segments_.front();
    if (segment.range.end < range.end) {  // the open segment has grown
      KS_ASSIGN_OR_RETURN(std::vector<FoundGroup> more, ReadGroups(log, segment.range.end, range.end));
      for (FoundGroup& group : more) segment.groups.push_back(std::move(group));
      segment.range.end = range.end;
    }
    return segments_.front();
  }
  auto segment = std::make_shared<SegmentCache>();
  segment->log = log.ref;
  segment->range = range;
  KS_ASSIGN_OR_RETURN(segment->groups, ReadGroups(log, range.first, range.end));
  segments_.push_front(std::move(segment));
  if (segments_.size() > kMaxSegments) segments_.pop_back();
  return segments_.front();
}

}  // namespace keystead
