// What openings, checkpoints and probes let a Reader conclude about streams and senders.

#include <algorithm>

#include "core/membership/signed_object.h"
#include "core/sealing/reader_state.h"

namespace keystead {
namespace {

constexpr size_t kMaxProbes = 1024;
constexpr size_t kMaxLosses = 64;
constexpr size_t kMaxSuccessors = 4096;

}  // namespace

std::string_view LivenessName(Liveness liveness) {
  switch (liveness) {
    case Liveness::kHistory:
      return "history";
    case Liveness::kLate:
      return "late";
    case Liveness::kLive:
      return "live";
  }
  return "history";
}

void Reader::HandleSigned(Stream& stream, ReadRecord& record) {
  if (record.kind == kinds::kOpening) {
    const absl::StatusOr<Opening> opening = ParseOpening(record.body);
    if (opening.ok() && record.sequence == 0) {
      HandleOpening(stream, *opening);
    } else {
      Alarm(SecurityEventKind::kMalformed, stream.place, record.sequence,
            "an opening that is malformed or not at 0");
    }
  } else if (record.kind == kinds::kCheckpoint) {
    const absl::StatusOr<Checkpoint> checkpoint = ParseCheckpoint(record.body);
    if (checkpoint.ok() && checkpoint->count == record.sequence) {
      HandleCheckpoint(stream, record.sequence, *checkpoint);
    } else {
      Alarm(SecurityEventKind::kMalformed, stream.place, record.sequence, "a checkpoint that is malformed");
    }
  } else if (record.kind == kinds::kLoss) {
    const absl::StatusOr<Loss> loss = ParseLoss(record.body);
    if (!loss.ok()) return;
    const auto lost = streams_.find(loss->stream);
    Stream& about = lost == streams_.end() ? stream : *lost->second;
    if (about.losses.size() < kMaxLosses) about.losses.push_back(*loss);
    Alarm(SecurityEventKind::kLossReported, about.place, loss->first_sequence,
          absl::StrCat("the sender lost records ", loss->first_sequence, " to ", loss->last_sequence, ": ",
                       loss->reason));
  }
}

void Reader::HandleOpening(Stream& stream, const Opening& opening) {
  stream.opened = true;
  stream.opening = opening;
  std::unique_ptr<Sender>& slot = senders_[SenderKeyOf(stream.place.topic, stream.place.sender)];
  if (slot == nullptr) slot = std::make_unique<Sender>();
  Sender& sender = *slot;

  std::optional<StreamId> predecessor;
  if (opening.previous.has_value()) predecessor = opening.previous->stream;
  if (sender.successors.size() < kMaxSuccessors) {
    const auto [known, first] = sender.successors.emplace(predecessor, stream.place.stream);
    if (!first && known->second != stream.place.stream) {
      stream.cloned = true;
      if (const auto other = streams_.find(known->second); other != streams_.end())
        other->second->cloned = true;
      Alarm(SecurityEventKind::kClonedOrRolledBack, stream.place, 0,
            "two streams of this sender name one predecessor");
    }
  }
  const bool continues = sender.current == nullptr || sender.current->place.epoch <= stream.place.epoch;
  if (continues) sender.current = &stream;
  CheckPredecessor(stream);
  HearFreshness(stream, opening.freshness, 0);
}

void Reader::CheckPredecessor(Stream& stream) {
  const std::optional<PreviousStream>& previous = stream.opening->previous;
  if (!previous.has_value()) return;
  if (!previous->end.has_value()) {
    stream.tail_unknown = true;
    Alarm(SecurityEventKind::kTailUnknown, stream.place, 0,
          "the sender does not know where its stream before ended");
    return;
  }
  const auto at = streams_.find(previous->stream);
  if (at == streams_.end()) return;  // before this reader's time
  Stream& before = *at->second;
  if (before.place.sender != stream.place.sender || before.place.topic != stream.place.topic) return;
  const uint64_t count = previous->end->last_sequence + 1;
  // The signed word in the new opening closes the old stream like a checkpoint.
  Report(before, before.track.NoteCheckpoint(count, previous->end->hash), count);
  if (before.track.frontier() < count) {
    before.told_end = count;
    before.hole_since = std::min(before.hole_since, clock_->Uptime());
  }
}

void Reader::HandleCheckpoint(Stream& stream, uint64_t sequence, const Checkpoint& checkpoint) {
  const StreamTrack::Outcome outcome = stream.track.NoteCheckpoint(checkpoint.count, checkpoint.hash);
  if (outcome.broken) stream.broken = true;
  Report(stream, outcome, sequence);
  if (checkpoint.end) stream.ended = true;
  HearFreshness(stream, checkpoint.freshness, sequence);
}

void Reader::HearFreshness(Stream& stream, const Freshness& freshness, uint64_t sequence) {
  const SignedCommit* commit = chain_->At(stream.place.epoch);
  if (commit != nullptr && commit->hash != freshness.commit_hash) {
    Alarm(SecurityEventKind::kFork, stream.place, sequence,
          "the sender acts under another commit of this epoch");
  }
  for (const Probe& probe : freshness.echoes) {
    const auto own = probe.reader == self_ ? probes_.find(probe.nonce) : probes_.end();
    if (own != probes_.end()) stream.live_at = std::max(stream.live_at.value_or(own->second), own->second);
  }
  stream.last_word = freshness;
  stream.last_word_at = clock_->Uptime();
  stream.stale = false;
}

Probe Reader::NewProbe(RandomSource& random) {
  const absl::Duration now = clock_->Uptime();
  std::erase_if(probes_, [&](const auto& entry) { return now - entry.second > limits_.probe_memory; });
  while (probes_.size() >= kMaxProbes) probes_.erase(probes_.begin());
  const Probe probe{self_, random.NewId<ProbeNonce>()};
  probes_.emplace(probe.nonce, now);
  return probe;
}

void Reader::MembershipChanged() {
  for (auto& [id, stream] : streams_) {
    const SignedCommit* commit = chain_->At(stream->place.epoch);
    stream->sender = commit == nullptr ? nullptr : commit->body.roster.Find(stream->place.sender);
    if (stream->sender == nullptr) stream->sender = chain_->LastKnown(stream->place.sender);
    stream->after_removal = chain_->roster().Find(stream->place.sender) == nullptr;
  }
}

std::vector<std::pair<Topic, MemberId>> Reader::KnownSenders() const {
  std::vector<std::pair<Topic, MemberId>> out;
  for (const auto& [key, sender] : senders_) out.push_back(key);
  return out;
}

Liveness Reader::LivenessOf(const Stream& stream) const {
  if (!stream.live_at.has_value()) return Liveness::kHistory;
  return clock_->Uptime() - *stream.live_at <= limits_.live_age ? Liveness::kLive : Liveness::kLate;
}

StreamStatus Reader::StatusOf(const Stream& stream) const {
  StreamStatus s;
  s.place = stream.place;
  s.liveness = LivenessOf(stream);
  const auto sender = senders_.find(SenderKeyOf(stream.place.topic, stream.place.sender));
  s.current = sender != senders_.end() && sender->second->current == &stream;
  s.opened = stream.opened;
  s.ended = stream.ended;
  s.stale = stream.stale;
  s.tail_unknown = stream.tail_unknown;
  s.cloned = stream.cloned;
  s.broken = stream.broken;
  s.received = stream.track.received();
  s.confirmed = stream.track.confirmed_count();
  s.pending = s.received - std::min(s.received, s.confirmed);
  s.next = stream.track.frontier();
  s.duplicates = stream.duplicates;
  s.conflicts = stream.conflicts;
  s.refused = stream.refused;
  s.missing = stream.track.missing();
  s.losses = stream.losses;
  s.last_word = stream.last_word;
  s.last_word_at = stream.last_word_at;
  return s;
}

std::vector<StreamStatus> Reader::Status() const {
  std::vector<StreamStatus> out;
  for (const auto& [id, stream] : streams_) out.push_back(StatusOf(*stream));
  std::ranges::sort(out, [](const StreamStatus& a, const StreamStatus& b) {
    return std::tie(a.place.topic, a.place.sender, a.place.epoch, a.place.stream) <
           std::tie(b.place.topic, b.place.sender, b.place.epoch, b.place.stream);
  });
  return out;
}

std::optional<Reader::SenderWord> Reader::LastWord(const MemberId& sender) const {
  std::optional<SenderWord> newest;
  for (const auto& [key, state] : senders_) {
    if (key.second != sender || state->current == nullptr || !state->current->last_word.has_value()) continue;
    if (newest.has_value() && newest->received_at >= state->current->last_word_at) continue;
    newest =
        SenderWord{*state->current->last_word, state->current->last_word_at, LivenessOf(*state->current)};
  }
  return newest;
}

}  // namespace keystead
