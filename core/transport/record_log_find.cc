// Finding what is already stored at the places of a group.
#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/big_endian.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/record_log_state.h"

namespace keystead {
namespace {

constexpr absl::Duration kComeBackForLookUps = absl::Milliseconds(100);  // the next task has its own
constexpr size_t kPlacesPerScan = 32;
constexpr size_t kLateRowsPerScan = 4 * limits::kMaxVariantsPerPlace;  // so that one scan has all of a place
// Every range of refused records costs memory until its publisher has read it. Beyond so many in one group
// the rest of the group is refused as well.
constexpr size_t kMaxRefusedRanges = 32;

}  // namespace

// What is stored at the places of one group, asked in rising sequence.
class RecordLogState::LookUp {
 public:
  LookUp(RecordLogState& owner, const Appending& to, uint64_t last_sequence)
      : owner_(owner), to_(to), last_sequence_(last_sequence) {}

  struct AtPlace {
    bool same = false;      // these bytes are there
    bool in_order = false;  // one came in order; who published it is not kept, so it counts as everybody's
    size_t late = 0;
    size_t own = 0;  // of the late ones, by this publisher
    size_t records() const { return late + (in_order ? 1 : 0); }
  };

  absl::StatusOr<AtPlace> Ask(const RecordView& record) {
    AtPlace out;
    const Digest digest = crypto::Sha256(record.cose);
    KS_ASSIGN_OR_RETURN(const std::optional<uint64_t> offset, InOrderOffset(record.sequence));
    if (offset.has_value()) {
      KS_ASSIGN_OR_RETURN(const RecordDigests* const group, owner_.DigestsAt(to_, *offset));
      if (const Digest* const there = group->Find(record.sequence); there != nullptr) {
        out.same = *there == digest;
        out.in_order = true;
      }
    }
    if (!to_.stream.has_late) return out;
    KS_RETURN_IF_ERROR(LoadLate(record.sequence));
    for (auto late = FirstLate(record.sequence); late != late_.end(); ++late) {
      if (late->sequence != record.sequence) break;
      // What retention has discarded is not there, although its row still is.
      if (late->offset < to_.log.first_kept) continue;
      out.same = out.same || late->digest == digest;
      ++out.late;
      if (late->publisher == to_.source.publisher) ++out.own;
    }
    return out;
  }

 private:
  // The group that has the sequence if it came in order and is still there.
  absl::StatusOr<std::optional<uint64_t>> InOrderOffset(uint64_t sequence) {
    const std::vector<GroupPlace>& open = to_.stream.places;
    if (!open.empty() && open.front().first <= sequence) return OffsetIn(open, sequence);
    KS_RETURN_IF_ERROR(LoadPlaces());
    if (places_complete_ || sequence >= places_.front().groups.front().first) {
      const auto above = std::upper_bound(
          places_.begin(), places_.end(), sequence,
          [](uint64_t value, const Places& places) { return value < places.groups.front().first; });
      if (above == places_.begin()) return std::nullopt;
      return OffsetIn(*std::prev(above), sequence);
    }
    // The group reaches over more checkpoints than were read at once.
    KS_ASSIGN_OR_RETURN(const std::vector<Places> nearest, ReadPlaces(sequence, 1));
    if (nearest.empty()) return std::nullopt;
    return OffsetIn(nearest.front(), sequence);
  }

  absl::Status LoadPlaces() {
    if (places_loaded_) return absl::OkStatus();
    KS_ASSIGN_OR_RETURN(places_, ReadPlaces(last_sequence_, kPlacesPerScan));
    places_loaded_ = true;
    places_complete_ = places_.size() < kPlacesPerScan;
    return absl::OkStatus();
  }

  // The rows whose first sequence is not above `sequence`, the nearest `max` of them, rising.
  absl::StatusOr<std::vector<Places>> ReadPlaces(uint64_t sequence, size_t max) {
    KS_RETURN_IF_ERROR(owner_.BeginRead(to_.task));
    const std::string prefix = rows::PositionPrefix(to_.log.ref.log, to_.key);
    // Keys hold the complement: the nearest comes first.
    const std::string after = rows::PositionKey(to_.log.ref.log, to_.key, sequence + 1);
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> found,
                        to_.transaction.Scan(to_.log.ref.tenant, kStreamTable,
                                             {.prefix = prefix, .after = after, .max_rows = max}));
    std::vector<Places> out;
    for (auto row = found.rbegin(); row != found.rend(); ++row) {
      KS_ASSIGN_OR_RETURN(Places places, rows::DecodePlaces(row->value));
      out.push_back(std::move(places));
    }
    return out;
  }

  std::optional<uint64_t> OffsetIn(const Places& places, uint64_t sequence) const {
    return sequence < places.end ? OffsetIn(places.groups, sequence) : std::nullopt;
  }
  std::optional<uint64_t> OffsetIn(const std::vector<GroupPlace>& groups, uint64_t sequence) const {
    const auto above = std::upper_bound(groups.begin(), groups.end(), sequence,
                                        [](uint64_t value, const GroupPlace& g) { return value < g.first; });
    if (above == groups.begin()) return std::nullopt;
    const uint64_t offset = std::prev(above)->offset;
    return offset < to_.log.first_kept ? std::nullopt : std::optional(offset);
  }

  std::vector<LateRecord>::const_iterator FirstLate(uint64_t sequence) const {
    return std::lower_bound(late_.begin(), late_.end(), sequence,
                            [](const LateRecord& late, uint64_t value) { return late.sequence < value; });
  }

  // Makes late_ hold every late record at `sequence`, and many that follow.
  absl::Status LoadLate(uint64_t sequence) {
    if (late_loaded_ && (late_complete_ || sequence < late_.back().sequence)) return absl::OkStatus();
    KS_RETURN_IF_ERROR(owner_.BeginRead(to_.task));
    const std::string prefix = rows::LatePrefix(to_.log.ref.log, to_.key);
    // Behind what retention has discarded at this sequence, of which there may be any number of rows.
    std::string after = prefix;
    PutNumber(after, sequence);
    if (to_.log.first_kept > 0) PutNumber(after, to_.log.first_kept - 1);
    KS_ASSIGN_OR_RETURN(
        const std::vector<storage::Row> found,
        to_.transaction.Scan(to_.log.ref.tenant, kStreamTable,
                             {.prefix = prefix, .after = after, .max_rows = kLateRowsPerScan}));
    late_.clear();
    for (const storage::Row& row : found) {
      KS_ASSIGN_OR_RETURN(const LateRecord late, rows::DecodeLate(row.key, row.value));
      late_.push_back(late);
    }
    late_loaded_ = true;
    late_complete_ = found.size() < kLateRowsPerScan;
    return absl::OkStatus();
  }

  RecordLogState& owner_;
  const Appending& to_;
  const uint64_t last_sequence_;
  std::vector<Places> places_;  // rising
  bool places_loaded_ = false;
  bool places_complete_ = false;  // places_ reaches to the beginning of the stream
  std::vector<LateRecord> late_;  // rising
  bool late_loaded_ = false;
  bool late_complete_ = false;  // late_ reaches to the end of the stream
};

namespace {

// A publisher has its slots at a place. When all together have filled the place, one that has nothing there
// yet still has one: others, however many, do not take it.
bool HasSlot(const RecordLogState::LookUp::AtPlace& place, size_t slots) {
  const size_t of_publisher = place.own + (place.in_order ? 1 : 0);
  if (of_publisher < slots && place.records() < limits::kSharedVariantsPerPlace) return true;
  return place.own == 0 && place.records() < limits::kMaxVariantsPerPlace;
}

}  // namespace

RecordSource RecordSource::Of(std::string_view peer, size_t slots) {
  return {rows::GetU64(AsChars(crypto::Sha256(AsBytes(peer)).view()), 0), slots};
}

absl::Status RecordLogState::AppendWithLookUp(const Appending& to, const GroupView& view,
                                              const Payload& bytes, AppendOutcome& outcome) {
  const std::span<const RecordView> records = view.records();
  const SequenceSet& have = to.stream.have;
  LookUp look_up(*this, to, view.last_sequence());
  std::vector<RecordView> wanted;
  uint64_t refused = 0;
  bool refused_last = false;
  for (size_t i = 0; i < records.size(); ++i) {
    const RecordView& record = records[i];
    if (outcome.refused.size() == kMaxRefusedRanges && !refused_last) {
      outcome.refused.push_back({record.sequence, records.back().sequence});
      refused += records.size() - i;
      break;
    }
    LookUp::AtPlace place;
    if (have.Contains(record.sequence) || record.sequence < have.forgotten_below()) {
      KS_ASSIGN_OR_RETURN(place, look_up.Ask(record));
    }
    const bool is_refused = !place.same && place.records() > 0 && !HasSlot(place, to.source.slots);
    if (place.same) {
      ++outcome.duplicates;
    } else if (!is_refused) {
      wanted.push_back(record);
      if (place.records() > 0) ++outcome.variants;
    } else if (refused_last) {
      outcome.refused.back().last_sequence = record.sequence;
    } else {
      outcome.refused.push_back({record.sequence, record.sequence});
    }
    refused_last = is_refused;
    if (is_refused) ++refused;
  }
  counters_.duplicates.fetch_add(outcome.duplicates, std::memory_order_relaxed);
  counters_.variants.fetch_add(outcome.variants, std::memory_order_relaxed);
  counters_.refused.fetch_add(refused, std::memory_order_relaxed);
  if (wanted.empty()) return absl::OkStatus();
  if (wanted.size() == records.size()) return Store(to, records, bytes, outcome);
  GroupBuilder builder{std::string(view.header_bytes())};
  for (const RecordView& record : wanted) KS_RETURN_IF_ERROR(builder.Append(record.sequence, record.cose));
  return Store(to, wanted, builder.Take(), outcome);
}

// To be asked before every read. What a read of a group takes is known only after it, so the last one may go
// beyond the bound.
absl::Status RecordLogState::BeginRead(RecordLogChanges::Rep& task) {
  if (task.reads >= options_.max_reads_per_task || task.read_bytes >= options_.max_read_bytes_per_task)
    return LimitReached(peer_limits::kLookUps, kComeBackForLookUps);
  ++task.reads;
  counters_.reads.fetch_add(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

void RecordLogState::CountBytes(RecordLogChanges::Rep& task, size_t bytes) {
  task.read_bytes += bytes;
  counters_.read_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

absl::StatusOr<const RecordDigests*> RecordLogState::DigestsAt(const Appending& to, uint64_t offset) {
  const LogState& log = to.log;
  if (const RecordDigests* const known = digests_.Find(log.ref, offset); known != nullptr) return known;
  KS_RETURN_IF_ERROR(BeginRead(to.task));
  Payload bytes;
  const auto pending =
      std::lower_bound(log.pending.begin(), log.pending.end(), offset,
                       [](const auto& entry, uint64_t value) { return entry.first < value; });
  if (pending != log.pending.end() && pending->first == offset) {
    bytes = pending->second;
  } else {
    // One byte: of whatever size it is, this entry and no other.
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Entry> entries, store_->Read(log.ref, offset, 1));
    if (entries.empty()) return absl::DataLossError("a log ends before its end");
    bytes = entries.front().bytes;
  }
  CountBytes(to.task, bytes->size());
  GroupHeaderCache headers;
  const auto view = GroupView::Parse(*bytes, headers);
  if (!view.ok()) return absl::DataLossError("a stored group does not parse");
  const GroupHeader& header = view->header();
  RecordDigests out;
  if (StreamKey{header.sender, header.epoch, header.stream} == to.key) {
    for (const RecordView& record : view->records()) out.Add(record.sequence, crypto::Sha256(record.cose));
  }
  return digests_.Put(log.ref, offset, std::move(out));
}

}  // namespace keystead
