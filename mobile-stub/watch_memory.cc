// What a session remembers for the next one, and which keys it no longer needs.

#include <algorithm>
#include <set>

#include "mobile-stub/watch_session.h"

namespace keystead::mobile {
// Of epochs that are over: keys whose streams were read to their signed end, and all of those that ended too
// long ago. What was not read of the latter is then reported as lost.
std::vector<Reader::SpentKey> WatchSession::DropSpentKeys() {
  std::vector<Reader::SpentKey> spent = reader_->SpentKeys();
  for (const Reader::SpentKey& key : spent) member_.ring().DropSender(key.epoch, key.topic, key.sender);
  for (const auto& [epoch, topic, sender] : member_.ForgetOldKeys()) spent.push_back({epoch, topic, sender});
  if (!spent.empty()) reader_->MembershipChanged();
  return spent;
}

ReaderMemory WatchSession::Seen() {
  ReaderMemory memory;
  const std::vector<StreamStatus> streams = reader_->Status();
  std::set<Topic> holding;
  for (const StreamStatus& s : streams) {
    uint64_t missing = 0;
    for (const SequenceRange& range : s.missing) missing += range.last - range.first + 1;
    if (s.received > s.next - std::min(s.next, missing)) holding.insert(s.place.topic);
  }
  for (auto& [topic, state] : topics_) {
    if (!holding.contains(topic) && !early_.Holds(topic)) state.safe = {state.log, state.next};
    if (state.safe.log != LogId()) memory.positions[topic] = state.safe;
  }
  memory.snapshot = reader_->Snapshot();
  memory.alarms = alarms_before_;
  for (const auto& [kind, count] : alarms_) memory.alarms[kind] += count;
  memory.generation = generation_;
  return memory;
}

// Also without remembering anything: a key is kept for 30 days and no longer.
absl::Status WatchSession::DropExpiredKeys() {
  KS_ASSIGN_OR_RETURN(const AppState::Lock lock, engine_.state().Begin());
  KS_ASSIGN_OR_RETURN(Member stored, engine_.state().LoadMember());
  return stored.ForgetOldKeys().empty() ? absl::OkStatus() : engine_.state().SaveMember(stored);
}

absl::Status WatchSession::Save() {
  if (options_.from_the_beginning || !options_.remember) return DropExpiredKeys();
  if (!reading_.has_value()) {
    absl::StatusOr<AppState::Lock> lock = engine_.state().LockReading();
    if (!lock.ok()) return absl::OkStatus();  // somebody else remembers
    reading_ = *std::move(lock);
  }
  const absl::Status saved = Remember();
  return absl::IsAborted(saved) ? absl::OkStatus() : saved;
}

absl::Status WatchSession::Remember() {
  ReaderMemory seen;
  std::vector<Reader::SpentKey> spent;
  {
    absl::MutexLock lock(&mutex_);
    const Section section(this);
    dirty_ = false;
    spent = DropSpentKeys();
    seen = Seen();
  }
  KS_RETURN_IF_ERROR(engine_.state().SaveReaderMemory(seen));
  {
    absl::MutexLock lock(&mutex_);
    generation_ = seen.generation;
  }
  if (spent.empty()) return absl::OkStatus();
  // Only now that it is remembered what they opened do the keys go.
  KS_ASSIGN_OR_RETURN(const AppState::Lock lock, engine_.state().Begin());
  KS_ASSIGN_OR_RETURN(Member stored, engine_.state().LoadMember());
  for (const Reader::SpentKey& key : spent) stored.ring().DropSender(key.epoch, key.topic, key.sender);
  return engine_.state().SaveMember(stored);
}

}  // namespace keystead::mobile
