#include "core/transport/held_records.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/base/big_endian.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/transport/record_log_rows.h"

namespace keystead {
namespace {

constexpr size_t kReadBytes = 1 << 20;

absl::StatusOr<LogHead> HeadOf(const storage::LogStore& store, storage::LogRef ref) {
  KS_ASSIGN_OR_RETURN(const auto row, store.Get(ref.tenant, kStreamTable, rows::HeadKey(ref.log)));
  if (!row.has_value()) return LogHead();
  return rows::DecodeHead(*row);
}

StreamKey KeyOf(const PlaceInTopic& place) { return {place.sender, place.epoch, place.stream}; }

bool Has(const GroupView& group, const PlaceInTopic& place) {
  const GroupHeader& header = group.header();
  if (StreamKey{header.sender, header.epoch, header.stream} != KeyOf(place)) return false;
  const auto at = std::lower_bound(
      group.records().begin(), group.records().end(), place.sequence,
      [](const RecordView& record, uint64_t sequence) { return record.sequence < sequence; });
  return at != group.records().end() && at->sequence == place.sequence;
}

}  // namespace

// Of one log. The tail is read first: what is below the checkpoint that it begins at has its rows by then.
class HeldRecords::Finder {
 public:
  Finder(const storage::LogStore& store, storage::LogRef ref, std::span<const PlaceInTopic> places)
      : store_(store), ref_(ref), places_(places) {}

  absl::StatusOr<std::map<uint64_t, Payload>> Run() {
    KS_ASSIGN_OR_RETURN(const LogHead head, HeadOf(store_, ref_));
    KS_RETURN_IF_ERROR(FindInTail(head.checkpoint));
    for (const PlaceInTopic& place : places_) {
      KS_RETURN_IF_ERROR(FindInOrder(place));
      KS_RETURN_IF_ERROR(FindLate(place));
    }
    return std::move(found_);
  }

 private:
  absl::Status FindInTail(uint64_t from) {
    KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, store_.GetBounds(ref_));
    for (uint64_t next = std::max(from, bounds.first); next < bounds.end && !IsFull();) {
      auto entries = store_.Read(ref_, next, kReadBytes);
      // One that does not open fails all that are read with it: from here on each by itself.
      if (absl::IsDataLoss(entries.status())) entries = store_.Read(ref_, next, 1);
      if (absl::IsDataLoss(entries.status())) {
        ++next;
        continue;
      }
      if (absl::IsNotFound(entries.status())) return absl::OkStatus();  // trimmed meanwhile
      if (!entries.ok()) return entries.status();
      if (entries->empty()) return absl::OkStatus();
      for (const storage::Entry& entry : *entries) KeepIfAsked(entry);
      next = entries->back().offset + 1;
    }
    return absl::OkStatus();
  }

  // What is stored of a stream in order stands in rows of the groups' first sequences, the nearest first.
  absl::Status FindInOrder(const PlaceInTopic& place) {
    const std::string prefix = rows::PositionPrefix(ref_.log, KeyOf(place));
    std::string after = prefix;
    if (place.sequence < UINT64_MAX) after = rows::PositionKey(ref_.log, KeyOf(place), place.sequence + 1);
    KS_ASSIGN_OR_RETURN(
        const std::vector<storage::Row> found,
        store_.Scan(ref_.tenant, kStreamTable, {.prefix = prefix, .after = after, .max_rows = 1}));
    if (found.empty()) return absl::OkStatus();
    KS_ASSIGN_OR_RETURN(const Places in_row, rows::DecodePlaces(found.front().value));
    const auto above =
        std::upper_bound(in_row.groups.begin(), in_row.groups.end(), place.sequence,
                         [](uint64_t sequence, const GroupPlace& group) { return sequence < group.first; });
    if (above == in_row.groups.begin()) return absl::OkStatus();
    return ReadAt(std::prev(above)->offset);
  }

  absl::Status FindLate(const PlaceInTopic& place) {
    std::string prefix = rows::LatePrefix(ref_.log, KeyOf(place));
    PutNumber(prefix, place.sequence);
    KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, store_.GetBounds(ref_));
    std::string after = prefix;
    if (bounds.first > 0) PutNumber(after, bounds.first - 1);
    KS_ASSIGN_OR_RETURN(
        const std::vector<storage::Row> found,
        store_.Scan(ref_.tenant, kStreamTable,
                    {.prefix = prefix, .after = after, .max_rows = limits::kMaxVariantsPerPlace}));
    for (const storage::Row& row : found) {
      KS_ASSIGN_OR_RETURN(const LateRecord late, rows::DecodeLate(row.key, row.value));
      KS_RETURN_IF_ERROR(ReadAt(late.offset));
    }
    return absl::OkStatus();
  }

  absl::Status ReadAt(uint64_t offset) {
    if (IsFull() || found_.contains(offset)) return absl::OkStatus();
    // One byte: of whatever size it is, this entry and no other.
    const auto entries = store_.Read(ref_, offset, 1);
    if (absl::IsNotFound(entries.status())) return absl::OkStatus();  // trimmed
    if (absl::IsDataLoss(entries.status())) {  // its row says that it is the one; it lies there all the same
      found_.emplace(offset, nullptr);
      return absl::OkStatus();
    }
    if (!entries.ok()) return entries.status();
    if (!entries->empty()) KeepIfAsked(entries->front());
    return absl::OkStatus();
  }

  void KeepIfAsked(const storage::Entry& entry) {
    const auto view = GroupView::Parse(*entry.bytes, headers_);
    if (!view.ok()) return;
    const bool asked = std::any_of(places_.begin(), places_.end(),
                                   [&](const PlaceInTopic& place) { return Has(*view, place); });
    if (!asked || !found_.emplace(entry.offset, entry.bytes).second) return;
    kept_bytes_ += entry.bytes->size();
  }
  // More does not fit into one answer: what is read beyond it would only fill memory.
  bool IsFull() const { return kept_bytes_ > limits::kMaxMessageBytes; }

  const storage::LogStore& store_;
  const storage::LogRef ref_;
  const std::span<const PlaceInTopic> places_;
  GroupHeaderCache headers_;
  std::map<uint64_t, Payload> found_;
  size_t kept_bytes_ = 0;
};

absl::StatusOr<StoredEntry> HeldRecords::Dated(const TopicLog& log, uint64_t offset, Payload group) const {
  StoredEntry out{.log = log, .offset = offset, .group = std::move(group)};
  const storage::LogStore& store = log_.store();
  // The first checkpoint behind it; what no checkpoint has seen yet came after the last.
  KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> behind,
                      store.Scan(log.ref.tenant, kStreamTable,
                                 {.prefix = rows::CheckpointPrefix(log.ref.log),
                                  .after = rows::CheckpointKey(log.ref.log, offset),
                                  .max_rows = 1}));
  if (!behind.empty()) {
    KS_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                        rows::DecodeCheckpoint(behind.front().key, behind.front().value));
    out.not_after = absl::FromUnixMillis(checkpoint.unix_ms);
    return out;
  }
  KS_ASSIGN_OR_RETURN(const LogHead head, HeadOf(store, log.ref));
  const std::string last = rows::CheckpointKey(log.ref.log, head.checkpoint);
  KS_ASSIGN_OR_RETURN(const auto row, store.Get(log.ref.tenant, kStreamTable, last));
  if (!row.has_value()) return out;
  KS_ASSIGN_OR_RETURN(const Checkpoint checkpoint, rows::DecodeCheckpoint(last, *row));
  out.not_before = absl::FromUnixMillis(checkpoint.unix_ms);
  return out;
}

absl::StatusOr<std::vector<StoredEntry>> HeldRecords::At(const TopicPlace& topic,
                                                         std::span<const PlaceInTopic> places) const {
  KS_ASSIGN_OR_RETURN(const std::optional<TopicLog> log, log_.FindTopic(topic));
  std::vector<StoredEntry> out;
  if (!log.has_value()) return out;
  KS_ASSIGN_OR_RETURN(auto found, Finder(log_.store(), log->ref, places).Run());
  for (auto& [offset, group] : found) {
    KS_ASSIGN_OR_RETURN(StoredEntry entry, Dated(*log, offset, std::move(group)));
    out.push_back(std::move(entry));
  }
  return out;
}

absl::StatusOr<std::vector<StoredEntry>> HeldRecords::Newest(const TopicPlace& topic, size_t groups) const {
  KS_ASSIGN_OR_RETURN(const std::optional<TopicLog> log, log_.FindTopic(topic));
  std::vector<StoredEntry> out;
  if (!log.has_value()) return out;
  KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, log_.store().GetBounds(log->ref));
  const uint64_t from = std::max(bounds.first, bounds.end - std::min<uint64_t>(bounds.end, groups));
  size_t bytes = 0;
  for (uint64_t offset = bounds.end; offset-- > from && bytes <= limits::kMaxMessageBytes;) {
    const auto entries = log_.store().Read(log->ref, offset, 1);
    if (absl::IsNotFound(entries.status())) break;  // trimmed meanwhile
    // What does not open lies there all the same.
    if (!entries.ok() && !absl::IsDataLoss(entries.status())) return entries.status();
    Payload group = entries.ok() && !entries->empty() ? entries->front().bytes : nullptr;
    bytes += group == nullptr ? 0 : group->size();
    KS_ASSIGN_OR_RETURN(StoredEntry entry, Dated(*log, offset, std::move(group)));
    out.push_back(std::move(entry));
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace keystead
