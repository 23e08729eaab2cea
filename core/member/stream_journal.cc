// The journal of a StreamSender: what is kept until a hop has it, what is given up, and what is sent again.

#include <algorithm>
#include <string>

#include "core/cose/cbor.h"
#include "core/member/last_stream.h"
#include "core/member/stream_sender.h"
#include "core/observe/log.h"

namespace keystead {
namespace {

constexpr int kMaxRefusals = 3;
constexpr size_t kTrimEvery = 64;

}  // namespace

StreamSender::Entry* StreamSender::Find(uint64_t number) {
  if (entries_.empty() || number < entries_.front().number || number > entries_.back().number) return nullptr;
  return &entries_[number - entries_.front().number];
}

// Hands every entry that is not in the journal's queue to the store, in order, in one task.
void StreamSender::SubmitToJournal() {
  std::vector<Payload> payloads;
  uint64_t first = 0;
  size_t bytes = 0;
  for (auto it = entries_.rbegin(); it != entries_.rend() && !it->submitted; ++it) first = it->number;
  if (first == 0) return;
  for (Entry* entry = Find(first); entry != nullptr; entry = Find(entry->number + 1)) {
    entry->submitted = true;
    payloads.push_back(entry->bytes);
    bytes += entry->bytes->size();
  }
  const std::string row = EncodeLastStream(*previous_, options_.synced);
  auto offsets = std::make_shared<std::vector<uint64_t>>();
  auto prepare = [log = options_.journal, payloads = std::move(payloads), row,
                  offsets](storage::Transaction& t) {
    for (const Payload& payload : payloads) {
      KS_ASSIGN_OR_RETURN(const uint64_t offset, t.Append(log, payload));
      offsets->push_back(offset);
    }
    t.Put(log.tenant, kSenderTable, std::to_string(log.log), row);
    return absl::OkStatus();
  };
  auto done = [this, first, offsets](const absl::Status& status) { Journalled(first, *offsets, status); };
  const absl::Status taken = options_.store->Submit(
      storage::MakeTask(bytes + 256, std::move(prepare), std::move(done),
                        options_.synced ? storage::Durability::kSynced : storage::Durability::kBuffered));
  if (taken.ok()) {
    ++tasks_;
    return;
  }
  for (Entry* entry = Find(first); entry != nullptr; entry = Find(entry->number + 1))
    entry->submitted = false;
}

// THREAD: the store's writer.
void StreamSender::Journalled(uint64_t first, const std::vector<uint64_t>& offsets,
                              const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  --tasks_;
  if (!status.ok()) {
    Log(LogLevel::kError, "journal_failed", {{"reason", Std(status.message())}});
    for (Entry* entry = Find(first); entry != nullptr; entry = Find(entry->number + 1))
      entry->submitted = false;
    return;
  }
  for (size_t i = 0; i < offsets.size(); ++i) {
    Entry* entry = Find(first + i);
    if (entry == nullptr) continue;
    entry->offset = offsets[i];
    entry->journalled = true;
  }
  Feed();
}

// Gives journalled entries to the publisher, oldest first, while it takes them.
void StreamSender::Feed() {
  if (publisher_ == nullptr || ended_for_good_) return;
  for (Entry& entry : entries_) {
    if (entry.done || entry.ticket != 0) continue;
    if (!entry.journalled) return;
    if (entry.refusals > 0 && entry.retry_at != absl::ZeroDuration()) continue;
    const absl::StatusOr<uint64_t> ticket = publisher_->Enqueue(entry.bytes);
    if (!ticket.ok()) return;
    entry.ticket = *ticket;
    tickets_[*ticket] = entry.number;
  }
}

void StreamSender::GiveUp(Entry& entry, std::string_view reason) {
  const uint64_t count = entry.last_sequence - entry.first_sequence + 1;
  stats_.lost += count;
  entry.done = true;
  entries_bytes_ -= entry.bytes->size();
  dead_bytes_ += entry.bytes->size();
  Log(LogLevel::kWarning, "records_lost",
      {{"stream", entry.stream.ToHex()},
       {"first", entry.first_sequence},
       {"last", entry.last_sequence},
       {"reason", reason}});
  if (!losses_.empty() && losses_.back().stream == entry.stream && losses_.back().reason == reason &&
      losses_.back().last_sequence + 1 == entry.first_sequence) {
    losses_.back().last_sequence = entry.last_sequence;
  } else {
    losses_.push_back({entry.stream, entry.first_sequence, entry.last_sequence, std::string(reason)});
  }
}

// The oldest that were not handed over go first: what a sensor saw last matters more.
void StreamSender::Overflow() {
  for (Entry& entry : entries_) {
    if (entries_bytes_ <= options_.journal_bytes) return;
    if (!entry.done && entry.ticket == 0 && &entry != &entries_.back()) GiveUp(entry, "journal full");
  }
  if (dead_bytes_ > options_.journal_bytes) CompactJournal();
}

// Writes what still counts once more behind what does not, and drops everything before: the journal on disk
// stays below twice its limit.
void StreamSender::CompactJournal() {
  if (tasks_ != 0) return;
  std::vector<Payload> payloads;
  std::vector<uint64_t> numbers;
  size_t bytes = 0;
  for (const Entry& entry : entries_) {
    if (entry.done || !entry.journalled) continue;
    payloads.push_back(entry.bytes);
    numbers.push_back(entry.number);
    bytes += entry.bytes->size();
  }
  auto offsets = std::make_shared<std::vector<uint64_t>>();
  auto prepare = [log = options_.journal, payloads = std::move(payloads), offsets](storage::Transaction& t) {
    KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, t.GetBounds(log));
    for (const Payload& payload : payloads) {
      KS_ASSIGN_OR_RETURN(const uint64_t offset, t.Append(log, payload));
      offsets->push_back(offset);
    }
    return t.Trim(log, bounds.end);
  };
  auto done = [this, numbers, offsets](const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    --tasks_;
    if (!status.ok()) return;
    for (size_t i = 0; i < offsets->size(); ++i) {
      if (Entry* entry = Find(numbers[i])) entry->offset = (*offsets)[i];
    }
  };
  if (!options_.store
           ->Submit(storage::MakeTask(bytes + 256, std::move(prepare), std::move(done),
                                      storage::Durability::kBuffered))
           .ok()) {
    return;
  }
  ++tasks_;
  dead_bytes_ = 0;
}

// THREAD: gRPC.
void StreamSender::OnDurable(uint64_t ticket) {
  absl::MutexLock lock(&mutex_);
  while (!tickets_.empty() && tickets_.begin()->first <= ticket) {
    Entry* entry = Find(tickets_.begin()->second);
    tickets_.erase(tickets_.begin());
    if (entry == nullptr || entry->done || entry->ticket == 0) continue;
    entry->done = true;
    entries_bytes_ -= entry->bytes->size();
    ++stats_.durable;
  }
  PopDone();
  if (untrimmed_ >= kTrimEvery) TrimDone();
  Feed();
}

// THREAD: gRPC. Somebody on the way may have changed it, or the hop does not know us yet: try again, then say
// it is lost.
void StreamSender::OnRefused(uint64_t ticket, const GroupRefusal& refusal) {
  absl::MutexLock lock(&mutex_);
  const auto at = tickets_.find(ticket);
  Entry* entry = at == tickets_.end() ? nullptr : Find(at->second);
  if (at != tickets_.end()) tickets_.erase(at);
  if (entry == nullptr || entry->done) return;
  ++stats_.refused;
  Log(LogLevel::kWarning, "group_refused",
      {{"stream", entry->stream.ToHex()},
       {"first", entry->first_sequence},
       {"last", entry->last_sequence},
       {"try", entry->refusals + 1},
       {"reason", Std(refusal.status.message())}});
  entry->ticket = 0;
  if (++entry->refusals >= kMaxRefusals) {
    GiveUp(*entry, "refused");
    return;
  }
  entry->retry_at = options_.clock->Uptime() + absl::Milliseconds(500) * entry->refusals;
}

void StreamSender::PopDone() {
  while (!entries_.empty() && entries_.front().done && entries_.front().journalled) {
    trim_to_ = std::max(trim_to_, entries_.front().offset + 1);
    ++untrimmed_;
    entries_.pop_front();
  }
}

void StreamSender::TrimDone() {
  PopDone();
  if (untrimmed_ == 0 || trim_to_ == 0 || tasks_ > 4) return;
  auto prepare = [log = options_.journal, to = trim_to_](storage::Transaction& t) { return t.Trim(log, to); };
  auto done = [this](const absl::Status&) {
    absl::MutexLock lock(&mutex_);
    --tasks_;
  };
  if (options_.store
          ->Submit(storage::MakeTask(64, std::move(prepare), std::move(done), storage::Durability::kBuffered))
          .ok()) {
    ++tasks_;
    untrimmed_ = 0;
  }
}

}  // namespace keystead
