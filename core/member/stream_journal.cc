// The journal of a StreamSender: what is kept until a hop has it, what is given up, and what is sent again.

#include <algorithm>
#include <string>

#include "core/member/stream_sender.h"
#include "core/observe/log.h"

namespace keystead {
namespace {

constexpr size_t kTrimEvery = 64;
constexpr size_t kMaxTasks = 4;      // trims that wait in the store's queue
constexpr size_t kMaxLosses = 1024;  // remembered and not reported

using Offsets = std::vector<uint64_t>;

absl::Status AppendAll(storage::Transaction& transaction, storage::LogRef log,
                       const std::vector<Payload>& payloads, Offsets& offsets) {
  for (const Payload& payload : payloads) {
    KS_ASSIGN_OR_RETURN(const uint64_t offset, transaction.Append(log, payload));
    offsets.push_back(offset);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status StreamSender::LoadJournal() {
  absl::MutexLock lock(&mutex_);
  KS_ASSIGN_OR_RETURN(
      const std::optional<std::string> row,
      options_.store->Get(options_.journal.tenant, kSenderTable, std::to_string(options_.journal.log)));
  if (row.has_value()) {
    KS_ASSIGN_OR_RETURN(SenderMemory memory, ParseSenderMemory(*row));
    flushed_ = memory.previous;
    losses_ = std::move(memory.losses);
  }
  KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, options_.store->GetBounds(options_.journal));
  log_end_ = bounds.end;
  trimmed_to_ = bounds.first;
  GroupHeaderCache headers;
  for (uint64_t at = bounds.first; at < bounds.end;) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Entry> found,
                        options_.store->Read(options_.journal, at, 1 << 20));
    if (found.empty()) break;
    for (const storage::Entry& stored : found) {
      at = stored.offset + 1;
      KS_ASSIGN_OR_RETURN(const GroupView group, GroupView::Parse(*stored.bytes, headers));
      Entry entry;
      entry.bytes = stored.bytes;
      entry.stream = group.header().stream;
      entry.run = {group.first_sequence(), group.last_sequence()};
      entry.submitted = true;
      SetOffset(entry, stored.offset);
      entries_bytes_ += entry.bytes->size();
      entries_.emplace(next_number_++, std::move(entry));
    }
  }
  next_submitted_ = next_number_;
  SetBacklog();
  return absl::OkStatus();
}

std::string StreamSender::EncodeMemory() const {
  return EncodeSenderMemory({flushed_, losses_}, options_.synced);
}

void StreamSender::FlushLocked() {
  flush_due_ = false;
  if (builder_ == nullptr || builder_->empty()) return;
  Entry entry;
  entry.stream = collected_->stream;
  entry.run = builder_run_;
  entry.opening = builder_run_.first == 0;
  entry.bytes = builder_->Take();
  entry.reports = std::move(reporting_);
  reporting_.clear();
  flushed_ = collected_;
  entries_bytes_ += entry.bytes->size();
  ++stats_.groups;
  entries_.emplace(next_number_++, std::move(entry));
  Overflow();
  SubmitToJournal();
  SetBacklog();
}

// Hands every entry that is not in the journal's queue to the store, in order, in one task.
void StreamSender::SubmitToJournal() {
  std::vector<Payload> payloads;
  std::vector<uint64_t> numbers;
  size_t bytes = 0;
  bool sync = options_.synced;
  for (auto at = entries_.lower_bound(next_submitted_); at != entries_.end(); ++at) {
    if (at->second.submitted) continue;
    payloads.push_back(at->second.bytes);
    numbers.push_back(at->first);
    bytes += at->second.bytes->size();
    // A stream whose opening a power cut could take back would leave its predecessor with two successors.
    sync = sync || at->second.opening;
  }
  if (numbers.empty()) return;
  auto offsets = std::make_shared<Offsets>();
  auto prepare = [log = options_.journal, payloads = std::move(payloads), row = EncodeMemory(),
                  offsets](storage::Transaction& t) {
    offsets->clear();
    KS_RETURN_IF_ERROR(AppendAll(t, log, payloads, *offsets));
    t.Put(log.tenant, kSenderTable, std::to_string(log.log), row);
    return absl::OkStatus();
  };
  auto done = [this, numbers, offsets](const absl::Status& status) { Journalled(numbers, *offsets, status); };
  const absl::Status taken = options_.store->Submit(
      storage::MakeTask(bytes + 256, std::move(prepare), std::move(done),
                        sync ? storage::Durability::kSynced : storage::Durability::kBuffered));
  if (!taken.ok()) return;  // the store's queue is full: the next flush or tick tries again
  ++tasks_;
  ++writes_;
  for (const uint64_t number : numbers) entries_.at(number).submitted = true;
  next_submitted_ = next_number_;
}

void StreamSender::SetOffset(Entry& entry, uint64_t offset) {
  if (entry.journalled) offsets_.erase(entry.offset);
  entry.journalled = true;
  entry.offset = offset;
  offsets_.insert(offset);
}

// THREAD: the store's writer.
void StreamSender::Journalled(const std::vector<uint64_t>& numbers, const std::vector<uint64_t>& offsets,
                              const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  --tasks_;
  --writes_;
  if (!status.ok()) {
    Log(LogLevel::kError, "journal_failed", {{"reason", Std(status.message())}});
    next_submitted_ = std::min(next_submitted_, numbers.front());
    for (const uint64_t number : numbers) {
      if (const auto at = entries_.find(number); at != entries_.end()) at->second.submitted = false;
    }
    return;
  }
  for (size_t i = 0; i < offsets.size(); ++i) {
    log_end_ = std::max(log_end_, offsets[i] + 1);
    if (const auto at = entries_.find(numbers[i]); at != entries_.end()) SetOffset(at->second, offsets[i]);
  }
  if (flush_due_ && writes_ == 0) FlushLocked();
  Feed();
}

// To the publisher
// ------------------------------------------------------------------------------------------------------

// Gives journalled entries to the publisher, oldest first, while it takes them.
void StreamSender::Feed() {
  if (publisher_ == nullptr || !publishing_) return;
  if (!retries_.empty()) {
    const absl::Duration now = options_.clock->Uptime();
    for (auto at = retries_.begin(); at != retries_.end();) {
      if (at->second > now) {
        ++at;
        continue;
      }
      if (!HandOver(at->first, entries_.at(at->first))) return;
      at = retries_.erase(at);
    }
  }
  for (auto at = entries_.lower_bound(next_fed_); at != entries_.end(); ++at) {
    if (!at->second.journalled || !HandOver(at->first, at->second)) return;
    next_fed_ = at->first + 1;
  }
}

bool StreamSender::HandOver(uint64_t number, Entry& entry) {
  const absl::StatusOr<uint64_t> ticket = publisher_->Enqueue(entry.bytes);
  if (!ticket.ok()) return false;
  tickets_.emplace_back(*ticket, number);
  return true;
}

// THREAD: gRPC.
void StreamSender::OnDurable(uint64_t ticket) {
  absl::MutexLock lock(&mutex_);
  while (!tickets_.empty() && tickets_.front().first <= ticket) {
    const auto at = entries_.find(tickets_.front().second);
    tickets_.pop_front();
    if (at == entries_.end()) continue;
    Entry& entry = at->second;
    if (entry.refused.empty()) {
      ++stats_.durable;
      Remove(at);
    } else if (++entry.refusals >= options_.max_refusals) {
      GiveUp(at, std::exchange(entry.refused, {}), "refused");
    } else {
      entry.refused.clear();
      retries_[at->first] =
          options_.clock->Uptime() + options_.refusal_retry * (int64_t{1} << (entry.refusals - 1));
    }
  }
  SetBacklog();
  if (removed_ >= kTrimEvery) TrimDone();
  Feed();
}

// THREAD: gRPC. Somebody on the way may have changed it, or the hop does not know us yet: OnDurable, which
// follows, decides between another try and a loss.
void StreamSender::OnRefused(uint64_t ticket, const GroupRefusal& refusal) {
  absl::MutexLock lock(&mutex_);
  const auto slot =
      std::lower_bound(tickets_.begin(), tickets_.end(), std::pair<uint64_t, uint64_t>(ticket, 0));
  if (slot == tickets_.end() || slot->first != ticket) return;
  const auto at = entries_.find(slot->second);
  if (at == entries_.end()) return;
  Entry& entry = at->second;
  const bool whole = (refusal.first_sequence == 0 && refusal.last_sequence == 0) ||
                     refusal.first_sequence < entry.run.first || refusal.last_sequence > entry.run.second ||
                     refusal.last_sequence < refusal.first_sequence;
  const Run run = whole ? entry.run : Run{refusal.first_sequence, refusal.last_sequence};
  if (std::ranges::find(entry.refused, run) == entry.refused.end()) entry.refused.push_back(run);
  ++stats_.refused;
  Log(LogLevel::kWarning, "group_refused",
      {{"stream", entry.stream.ToHex()},
       {"first", run.first},
       {"last", run.second},
       {"try", entry.refusals + 1},
       {"reason", Std(refusal.status.message())}});
}

// Losing
// ----------------------------------------------------------------------------------------------------------------

StreamSender::Entries::iterator StreamSender::Remove(Entries::iterator at) {
  entries_bytes_ -= at->second.bytes->size();
  if (at->second.journalled) offsets_.erase(at->second.offset);
  retries_.erase(at->first);
  ++removed_;
  return entries_.erase(at);
}

StreamSender::Entries::iterator StreamSender::GiveUp(Entries::iterator at, const std::vector<Run>& runs,
                                                     std::string_view reason) {
  Entry& entry = at->second;
  for (const Run& run : runs) {
    stats_.lost += run.second - run.first + 1;
    NoteLoss({entry.stream, run.first, run.second, std::string(reason)});
  }
  for (Loss& loss : entry.reports) NoteLoss(std::move(loss));  // the report is lost as well
  if (entry.submitted) dead_bytes_ += entry.bytes->size();
  return Remove(at);
}

void StreamSender::NoteLoss(Loss loss) {
  if (!losses_.empty()) {
    Loss& last = losses_.back();
    const bool follows = last.last_sequence + 1 == loss.first_sequence;
    // When there are too many to remember singly, rather too much is called lost than too little.
    if (last.stream == loss.stream && last.last_sequence < loss.first_sequence &&
        ((follows && last.reason == loss.reason) || losses_.size() >= kMaxLosses)) {
      last.last_sequence = loss.last_sequence;
      return;
    }
  }
  Log(LogLevel::kWarning, "records_lost",
      {{"stream", loss.stream.ToHex()}, {"first", loss.first_sequence}, {"reason", loss.reason}});
  losses_.push_back(std::move(loss));
}

// The oldest that were not handed over go first: what a sensor saw last matters more. What was handed over
// may have arrived and is never called lost; the publisher takes half at most, so that the newest has the
// other.
void StreamSender::Overflow() {
  for (auto at = entries_.lower_bound(next_fed_);
       entries_bytes_ > options_.journal_bytes && at != entries_.end() && std::next(at) != entries_.end();) {
    at = GiveUp(at, {at->second.run}, "journal full");
  }
  if (dead_bytes_ > options_.journal_bytes) CompactJournal();
}

// Keeping the journal short
// -------------------------------------------------------------------------------------------------------

// Writes what still counts once more behind what does not, and drops everything before: the journal on disk
// stays below about three times its limit. In the store's order this stands behind what was submitted before.
void StreamSender::CompactJournal() {
  if (compacting_) return;
  std::vector<Payload> payloads;
  std::vector<uint64_t> numbers;
  size_t bytes = 0;
  for (const auto& [number, entry] : entries_) {
    if (!entry.submitted) continue;
    payloads.push_back(entry.bytes);
    numbers.push_back(number);
    bytes += entry.bytes->size();
  }
  auto offsets = std::make_shared<Offsets>();
  auto prepare = [log = options_.journal, payloads = std::move(payloads), row = EncodeMemory(),
                  offsets](storage::Transaction& t) {
    offsets->clear();
    KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, t.GetBounds(log));
    KS_RETURN_IF_ERROR(AppendAll(t, log, payloads, *offsets));
    t.Put(log.tenant, kSenderTable, std::to_string(log.log), row);
    return t.Trim(log, bounds.end);
  };
  auto done = [this, numbers, offsets](const absl::Status& status) { Compacted(numbers, *offsets, status); };
  if (!options_.store
           ->Submit(storage::MakeTask(
               bytes + 256, std::move(prepare), std::move(done),
               options_.synced ? storage::Durability::kSynced : storage::Durability::kBuffered))
           .ok()) {
    return;
  }
  ++tasks_;
  compacting_ = true;
  dead_bytes_ = 0;
}

// THREAD: the store's writer.
void StreamSender::Compacted(const std::vector<uint64_t>& numbers, const std::vector<uint64_t>& offsets,
                             const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  --tasks_;
  compacting_ = false;
  if (!status.ok()) {
    dead_bytes_ = options_.journal_bytes + 1;  // the next overflow tries again
    return;
  }
  for (size_t i = 0; i < offsets.size(); ++i) {
    log_end_ = std::max(log_end_, offsets[i] + 1);
    if (const auto at = entries_.find(numbers[i]); at != entries_.end()) SetOffset(at->second, offsets[i]);
  }
}

// Entries that were submitted and not journalled yet stand behind every offset that is known.
void StreamSender::TrimDone() {
  const uint64_t to = offsets_.empty() ? log_end_ : *offsets_.begin();
  if (to <= trimmed_to_ || tasks_ >= kMaxTasks) return;
  auto prepare = [log = options_.journal, to,
                  row = flushed_ ? EncodeMemory() : std::string()](storage::Transaction& t) {
    if (!row.empty()) t.Put(log.tenant, kSenderTable, std::to_string(log.log), row);
    return t.Trim(log, to);
  };
  auto done = [this](const absl::Status&) {
    absl::MutexLock lock(&mutex_);
    --tasks_;
  };
  if (!options_.store
           ->Submit(
               storage::MakeTask(256, std::move(prepare), std::move(done), storage::Durability::kBuffered))
           .ok()) {
    return;
  }
  ++tasks_;
  trimmed_to_ = to;
  removed_ = 0;
  if (offsets_.empty()) dead_bytes_ = 0;
}

}  // namespace keystead
