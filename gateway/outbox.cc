#include "gateway/outbox.h"

#include <algorithm>

namespace keystead::gateway {
namespace {

constexpr absl::Duration kAgeStep = absl::Seconds(1);

}  // namespace

bool Outbox::IsFinal(absl::StatusCode code) {
  return code == absl::StatusCode::kInvalidArgument || code == absl::StatusCode::kAlreadyExists;
}

Outbox::Log& Outbox::LogAt(storage::LogRef ref, uint64_t first_offset) {
  if (last_ != nullptr && last_->ref == ref) return *last_;
  std::unique_ptr<Log>& slot = logs_[ref];
  if (slot == nullptr) {
    slot = std::make_unique<Log>();
    slot->ref = ref;
    slot->cursor = slot->next = slot->fresh_first = slot->end = slot->committed = first_offset;
  }
  last_ = slot.get();
  return *slot;
}

void Outbox::Restore(const Restored& restored, absl::Time now) {
  Log& log = LogAt(restored.log, restored.cursor);
  log.fresh_first = log.end = log.committed = restored.end;
  log.skips.insert(restored.skips.begin(), restored.skips.end());
  if (restored.entries > 0) log.ages.emplace_back(log.cursor, now);
  stats_.entries += restored.entries;
  stats_.bytes += restored.bytes;
  if (log.next < log.end) MakeReady(log);
}

void Outbox::MakeReady(Log& log) {
  if (log.ready) return;
  log.ready = true;
  ready_.push_back(&log);
}

// The writer's side
// ------------------------------------------------------------------------------------------------

void Outbox::Appended(storage::LogRef ref, uint64_t offset, storage::Payload bytes, absl::Time now) {
  Log& log = LogAt(ref, offset);
  if (log.ages.empty() || now - log.ages.back().second >= kAgeStep) log.ages.emplace_back(offset, now);
  ++stats_.entries;
  stats_.bytes += bytes->size();
  fresh_bytes_ += bytes->size();
  if (log.fresh.empty()) spillable_.push_back(&log);
  log.fresh.push_back(std::move(bytes));
  log.end = offset + 1;
  MakeReady(log);
  if (fresh_bytes_ > options_.memory_bytes) Spill();
}

void Outbox::Brought(storage::LogRef ref, uint64_t offset) {
  Log& log = LogAt(ref, offset);
  log.skips.insert(offset);
  if (log.fresh.empty()) spillable_.push_back(&log);
  log.fresh.push_back(nullptr);
  log.end = offset + 1;
  MakeReady(log);
}

// Forgets bytes that the store can give back; what is not committed cannot be read and stays.
void Outbox::Spill() {
  for (size_t turns = spillable_.size(); turns > 0 && fresh_bytes_ > options_.memory_bytes / 2; --turns) {
    Log& log = *spillable_.front();
    spillable_.pop_front();
    while (!log.fresh.empty() && log.fresh_first < log.committed) {
      if (log.fresh.front() != nullptr) fresh_bytes_ -= log.fresh.front()->size();
      log.fresh.pop_front();
      ++log.fresh_first;
    }
    if (!log.fresh.empty()) spillable_.push_back(&log);
  }
}

void Outbox::Committed(storage::LogRef ref, uint64_t offset, bool ok) {
  Log& log = LogAt(ref, offset);
  if (!ok) return TakeBack(log, offset);
  log.committed = std::max(log.committed, offset + 1);
  Advance(log);
}

void Outbox::TakeBack(Log& log, uint64_t from) {
  if (log.end <= from) return;  // an earlier entry took this one along
  while (log.end > from && !log.fresh.empty()) {
    if (const storage::Payload& bytes = log.fresh.back(); bytes != nullptr) {
      fresh_bytes_ -= bytes->size();
      stats_.bytes -= bytes->size();
      --stats_.entries;
    }
    log.fresh.pop_back();
    --log.end;
  }
  for (; log.end > from && !log.flight.empty(); --log.end) {
    if (const Slot& slot = log.flight.back(); !slot.settled) {
      stats_.bytes -= slot.size;
      --stats_.entries;
    }
    log.flight.pop_back();
  }
  log.next = std::min(log.next, log.end);
  log.fresh_first = std::min(log.fresh_first, log.end);
  log.skips.erase(log.skips.lower_bound(from), log.skips.end());
  log.tries.erase(log.tries.lower_bound(from), log.tries.end());
  while (!log.ages.empty() && log.ages.back().first >= from) log.ages.pop_back();
  for (Sent& sent : sent_) {
    if (sent.log == &log && sent.offset >= from) sent.log = nullptr;
  }
  std::erase_if(retries_,
                [&](const auto& retry) { return retry.second.first == &log && retry.second.second >= from; });
}

// The feeder's side
// ------------------------------------------------------------------------------------------------

// The entry at log.next, whose bytes are these (null: it stays here).
void Outbox::HandOut(Log& log, storage::Payload bytes, std::vector<storage::Payload>& out) {
  if (bytes == nullptr) {
    log.flight.push_back({0, true});
    ++log.next;
    return Advance(log);
  }
  const auto size = static_cast<uint32_t>(bytes->size());
  log.flight.push_back({size, false});
  sent_.push_back({&log, log.next++, size});
  stats_.in_flight_bytes += size;
  out.push_back(std::move(bytes));
}

std::optional<Outbox::Demand> Outbox::Next(std::vector<storage::Payload>& out, absl::Time now) {
  if (stats_.in_flight_bytes >= options_.window_bytes) return std::nullopt;
  if (RetryDue(now)) {
    const auto [log, offset] = retries_.begin()->second;
    retries_.erase(retries_.begin());
    return Demand{log->ref, offset, offset + 1, true};
  }
  const size_t window = options_.window_bytes - stats_.in_flight_bytes;
  size_t total = 0;
  while (!ready_.empty() && total < std::min(window, options_.turn_bytes)) {
    Log& log = *ready_.front();
    if (log.next < log.fresh_first) {
      if (total > 0) break;
      return Demand{log.ref, log.next, log.fresh_first, false};
    }
    size_t bytes = 0;
    while (!log.fresh.empty() && bytes < options_.turn_bytes) {
      storage::Payload entry = std::move(log.fresh.front());
      log.fresh.pop_front();
      ++log.fresh_first;
      if (entry != nullptr) {
        bytes += entry->size();
        fresh_bytes_ -= entry->size();
      }
      HandOut(log, std::move(entry), out);
    }
    ready_.pop_front();
    log.ready = false;
    if (log.next < log.end) MakeReady(log);
    total += bytes;
  }
  return std::nullopt;
}

void Outbox::Supply(const Demand& demand, const std::vector<storage::Entry>& entries,
                    std::vector<storage::Payload>& out, absl::Time now) {
  const auto found = logs_.find(demand.log);
  if (found == logs_.end()) return;
  Log& log = *found->second;
  if (demand.retry) {
    const bool parked = log.again.contains(demand.from);
    if (parked && entries.empty()) {  // history has discarded it
      log.again.erase(demand.from);
      log.progress.unparked.push_back(demand.from);
      return MarkDirty(log);
    }
    if (!parked && (demand.from < log.cursor || demand.from >= log.next)) return;  // taken back meanwhile
    if (entries.empty()) {                                                         // not committed yet
      retries_.emplace(now + options_.retry_after, std::pair(&log, demand.from));
      return;
    }
    const auto size = static_cast<uint32_t>(entries.front().bytes->size());
    sent_.push_back({&log, demand.from, size});
    stats_.in_flight_bytes += size;
    ++stats_.retried;
    out.push_back(entries.front().bytes);
    return;
  }
  for (const storage::Entry& entry : entries) {
    if (entry.offset != log.next || log.next >= log.fresh_first) break;
    HandOut(log, log.skips.contains(entry.offset) ? nullptr : entry.bytes, out);
  }
  if (!ready_.empty() && ready_.front() == &log) {  // the next has its turn
    ready_.pop_front();
    log.ready = false;
  }
  if (log.next < log.end) MakeReady(log);
}

// Answers
// ----------------------------------------------------------------------------------------------------------

void Outbox::Refused(uint64_t ticket, const absl::Status& status) { refused_.try_emplace(ticket, status); }

std::vector<Outbox::Parked> Outbox::Durable(uint64_t up_to_ticket, absl::Time now) {
  std::vector<Parked> out;
  for (; first_ticket_ <= up_to_ticket && !sent_.empty(); ++first_ticket_) {
    const Sent sent = sent_.front();
    sent_.pop_front();
    stats_.in_flight_bytes -= sent.size;
    std::optional<absl::Status> refusal;
    if (!refused_.empty() && refused_.begin()->first == first_ticket_) {
      refusal = std::move(refused_.begin()->second);
      refused_.erase(refused_.begin());
    }
    if (sent.log == nullptr) continue;
    if (sent.log->again.erase(sent.offset) > 0) {
      if (refusal.has_value()) continue;  // its row stays
      ++stats_.forwarded;
      sent.log->progress.unparked.push_back(sent.offset);
      MarkDirty(*sent.log);
      continue;
    }
    if (!refusal.has_value()) {
      ++stats_.forwarded;
      Settle(*sent.log, sent.offset, sent.size);
      continue;
    }
    const int tries = ++sent.log->tries[sent.offset];
    if (!IsFinal(refusal->code()) && tries < options_.max_tries) {
      const absl::Duration wait = options_.retry_after * (1 << std::min(tries - 1, 10));
      retries_.emplace(now + wait, std::pair(sent.log, sent.offset));
      continue;
    }
    ++stats_.parked;
    sent.log->progress.parked.emplace_back(sent.offset, refusal->code());
    out.push_back({sent.log->ref, sent.offset, *std::move(refusal)});
    Settle(*sent.log, sent.offset, sent.size);
  }
  return out;
}

void Outbox::TryParked(storage::LogRef ref, uint64_t offset, absl::Time now) {
  Log& log = LogAt(ref, offset + 1);
  if (offset >= log.cursor || !log.again.insert(offset).second) return;
  retries_.emplace(now, std::pair(&log, offset));
}

void Outbox::Settle(Log& log, uint64_t offset, size_t size) {
  Slot& slot = log.flight[offset - log.cursor];
  slot.settled = true;
  stats_.bytes -= size;
  --stats_.entries;
  if (!log.tries.empty()) log.tries.erase(offset);
  Advance(log);
}

void Outbox::Advance(Log& log) {
  const uint64_t before = log.cursor;
  while (!log.flight.empty() && log.flight.front().settled && log.cursor < log.committed) {
    log.flight.pop_front();
    ++log.cursor;
  }
  if (log.cursor == before) return;
  while (!log.skips.empty() && *log.skips.begin() < log.cursor) {
    log.progress.passed_skips.push_back(*log.skips.begin());
    log.skips.erase(log.skips.begin());
  }
  if (!log.ages.empty()) {
    auto keep = std::upper_bound(log.ages.begin(), log.ages.end(), log.cursor,
                                 [](uint64_t cursor, const auto& age) { return cursor < age.first; });
    if (log.cursor == log.end) {
      keep = log.ages.end();
    } else if (keep != log.ages.begin()) {
      --keep;
    }
    log.ages.erase(log.ages.begin(), keep);
  }
  MarkDirty(log);
}

void Outbox::MarkDirty(Log& log) {
  if (log.dirty) return;
  log.dirty = true;
  dirty_.push_back(&log);
}

// Progress
// ---------------------------------------------------------------------------------------------------------

std::vector<Outbox::Progress> Outbox::TakeProgress() {
  std::vector<Progress> out;
  out.reserve(dirty_.size());
  for (Log* const log : dirty_) {
    log->dirty = false;
    log->progress.log = log->ref;
    log->progress.cursor = log->cursor;
    out.push_back(std::exchange(log->progress, {}));
  }
  dirty_.clear();
  return out;
}

void Outbox::Retain(std::vector<Progress> progress) {
  for (Progress& lost : progress) {
    Log& log = LogAt(lost.log, lost.cursor);
    Progress& now = log.progress;
    now.passed_skips.insert(now.passed_skips.end(), lost.passed_skips.begin(), lost.passed_skips.end());
    now.parked.insert(now.parked.end(), lost.parked.begin(), lost.parked.end());
    now.unparked.insert(now.unparked.end(), lost.unparked.begin(), lost.unparked.end());
    MarkDirty(log);
  }
}

uint64_t Outbox::CursorOf(storage::LogRef ref) const {
  const auto found = logs_.find(ref);
  return found == logs_.end() ? UINT64_MAX : found->second->cursor;
}

Outbox::Stats Outbox::GetStats(absl::Time now) const {
  Stats out = stats_;
  for (const auto& [ref, log] : logs_) {
    if (!log->ages.empty()) out.age = std::max(out.age, now - log->ages.front().second);
  }
  return out;
}

}  // namespace keystead::gateway
