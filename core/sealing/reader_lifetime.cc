// What time and membership do to streams: gaps whose grace is over, stale senders, streams that are read to
// their end, keys that are gone, and hops that serve less than before.

#include <algorithm>

#include "core/base/mutants.h"
#include "core/sealing/reader_state.h"

namespace keystead {
namespace {

constexpr size_t kMaxRetired = 4096;  // per sender and topic

}  // namespace

void Reader::Tick() {
  const absl::Duration now = clock_->Uptime();
  for (auto& [key, stream] : streams_) {
    while (now - stream->hole_since >= limits_.gap_grace) {  // never of an infinite one
      const uint64_t up_to = stream->held.empty() ? stream->closed_at.value_or(stream->track.frontier())
                                                  : stream->held.begin()->first;
      DeclareGap(*stream, up_to);
      UpdateHole(*stream);
    }
  }
  for (auto& [key, sender] : senders_) {
    Stream* current = sender->current;
    const TopicKind kind = key.first.kind();
    if (current == nullptr || current->ended || current->stale || key.second == self_) continue;
    if (kind != TopicKind::kTelemetry && kind != TopicKind::kState) continue;
    if (now - current->last_word_at < limits_.stale_age) continue;
    current->stale = true;
    Alarm(SecurityEventKind::kStale, current->place, current->track.end(), "no fresh word from this sender");
  }
  RetireStreams();
}

void Reader::Forget(Stream& stream) {
  const auto sender = senders_.find(SenderKeyOf(stream.place.topic, stream.place.sender));
  if (sender != senders_.end()) {
    std::erase(sender->second->streams, &stream);
    if (sender->second->current == &stream) sender->second->current = nullptr;
  }
  if (last_ == &stream) last_ = nullptr;
  streams_.erase(KeyOf(stream.place));
}

// Remembers by name only what was read and confirmed to its end; and of a sender with too many streams also
// the oldest others, whose gaps were reported when they were declared.
void Reader::RetireStreams() {
  retire_due_ = false;
  for (auto& [key, sender] : senders_) {
    size_t excess = sender->streams.size() - std::min(sender->streams.size(), limits_.max_streams_per_sender);
    const std::vector<Stream*> all = sender->streams;  // oldest first
    for (Stream* stream : all) {
      if (stream == sender->current || sender->retired.size() >= kMaxRetired) continue;
      const uint64_t count = stream->closed_at.value_or(0);
      const bool complete =
          stream->closed_at.has_value() && stream->held.empty() && stream->track.Complete(count);
      // One that nothing signed vouches for makes no room: it might be a forgery, and then return as often.
      if (!complete && (excess == 0 || !stream->has_signed)) continue;
      if (!complete) {
        Alarm(SecurityEventKind::kLimitExceeded, stream->place, stream->track.frontier(),
              "an unfinished stream makes room for newer ones of its sender");
      }
      excess -= excess > 0 ? 1 : 0;
      const uint64_t taken = complete ? count : limits_.records_per_stream;
      sender->retired[stream->place.stream] = {stream->place.epoch, taken};
      Forget(*stream);
    }
  }
}

void Reader::BeginPass(const Topic& topic) {
  for (auto& [key, stream] : streams_) {
    if (stream->place.topic != topic) continue;
    stream->pass.emplace(stream->track.end());
  }
}

// What of a stream a hop that was read from its first entry should have and has not: the first such sequence.
// Retention drops the oldest of a log: whole streams, and the beginning of one, never the end of the newest.
std::optional<uint64_t> Reader::LackOf(const Stream& stream) const {
  const PassRecord& pass = *stream.pass;
  const auto sender = senders_.find(SenderKeyOf(stream.place.topic, stream.place.sender));
  const bool newest = sender != senders_.end() && sender->second->current == &stream;
  if (newest && pass.shown_to() < pass.end()) return pass.shown_to();
  std::vector<SequenceRange> absent = stream.track.missing();
  if (absent.size() >= limits::kMaxGapsPerStream) return std::nullopt;  // some may be forgotten
  for (uint64_t at = stream.track.frontier(); at < pass.end(); ++at) {
    if (!stream.held.contains(at)) absent.push_back({at, at});
  }
  return pass.FirstHole(absent);
}

void Reader::CaughtUp(const Topic& topic) {
  for (auto& [key, stream] : streams_) {
    if (stream->place.topic != topic || !stream->pass.has_value()) continue;
    const std::optional<uint64_t> lack = LackOf(*stream);
    const uint64_t end = stream->pass->end();
    stream->pass.reset();
    if (!lack.has_value() || MutantActive(Mutant::kRollbackUnnoticed)) continue;
    Alarm(SecurityEventKind::kProviderRolledBack, stream->place, *lack,
          absl::StrCat("this hop has not record ", *lack, ", of ", end, " seen before"));
  }
}

void Reader::MembershipChanged() {
  std::vector<Stream*> gone;
  for (auto& [key, stream] : streams_) {
    const SignedCommit* commit = chain_->At(stream->place.epoch);
    stream->sender = commit == nullptr ? nullptr : commit->body.roster.Find(stream->place.sender);
    stream->after_removal = chain_->empty() || chain_->roster().Find(stream->place.sender) == nullptr;
    const bool has_key =
        ring_->SenderKeyFor(stream->place.epoch, stream->place.topic, stream->place.sender).ok();
    if (!has_key) gone.push_back(stream.get());
  }
  for (Stream* stream : gone) {
    const uint64_t frontier = stream->track.frontier();
    const uint64_t end = std::max(stream->closed_at.value_or(0), stream->track.end());
    std::vector<SequenceRange> lost = stream->track.missing();
    if (end > frontier) lost.push_back({frontier, end - 1});
    for (const SequenceRange& range : lost) {
      Alarm(SecurityEventKind::kMissing, stream->place, range.first,
            absl::StrCat("records ", range.first, " to ", range.last, " are lost to rotation"));
    }
    // Until the next stream tells where this one ended.
    Sender& sender = *senders_.at(SenderKeyOf(stream->place.topic, stream->place.sender));
    if (sender.retired.size() < kMaxRetired && !stream->awaited.has_value())
      sender.retired[stream->place.stream] = {stream->place.epoch, std::max(frontier, end)};
    Forget(*stream);
  }
  // Of an epoch whose key is gone nothing can be replayed: only a stream that nobody has named as predecessor
  // must still be known when somebody does.
  for (auto& [key, sender] : senders_) {
    std::erase_if(sender->retired, [&, slot = &key, &state = *sender](const auto& retired) {
      return state.successors.contains(retired.first) &&
             !ring_->SenderKeyFor(retired.second.epoch, slot->first, slot->second).ok();
    });
  }
}

// An epoch of a sender is over for a reader when a stream of a later one names, as predecessor, a stream of
// it that was read to its end, and no other of it is still open.
std::vector<Reader::SpentKey> Reader::SpentKeys() const {
  std::vector<SpentKey> out;
  for (const auto& [key, sender] : senders_) {
    const auto epoch_of = [&, &state = *sender](const StreamId& id) -> std::optional<uint64_t> {
      if (const auto at = state.retired.find(id); at != state.retired.end()) return at->second.epoch;
      const auto at =
          std::ranges::find_if(state.streams, [&](const Stream* s) { return s->place.stream == id; });
      if (at == state.streams.end()) return std::nullopt;
      return (*at)->place.epoch;
    };
    for (const auto& [before, after] : sender->successors) {
      if (!before.has_value() || !sender->retired.contains(*before)) continue;
      const uint64_t epoch = sender->retired.at(*before).epoch;
      const bool open =
          std::ranges::any_of(sender->streams, [&](const Stream* s) { return s->place.epoch == epoch; });
      if (!open && epoch_of(after).value_or(0) > epoch) out.push_back({epoch, key.first, key.second});
    }
  }
  return out;
}

std::vector<std::pair<Topic, MemberId>> Reader::KnownSenders() const {
  std::vector<std::pair<Topic, MemberId>> out;
  out.reserve(senders_.size());
  for (const auto& [key, sender] : senders_) out.push_back(key);
  return out;
}

}  // namespace keystead
