// What openings, checkpoints and probes let a Reader conclude about streams and senders.

#include <algorithm>

#include "core/base/mutants.h"
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

// Bodies were checked on arrival.
void Reader::HandleSigned(Stream& stream, const ReadRecord& record) {
  if (record.kind == kinds::kOpening) {
    if (const absl::StatusOr<Opening> opening = ParseOpening(record.body); opening.ok()) {
      HandleOpening(stream, *opening);
    }
  } else if (record.kind == kinds::kCheckpoint) {
    if (const absl::StatusOr<Checkpoint> checkpoint = ParseCheckpoint(record.body); checkpoint.ok()) {
      HandleCheckpoint(stream, record.sequence, *checkpoint);
    }
  } else if (record.kind == kinds::kLoss) {
    if (const absl::StatusOr<Loss> loss = ParseLoss(record.body); loss.ok()) HandleLoss(stream, *loss);
  }
}

// A sender speaks of its own streams only.
void Reader::HandleLoss(Stream& stream, const Loss& loss) {
  Stream* lost = FindOfSame(stream, loss.stream);
  Stream& about = lost == nullptr ? stream : *lost;
  if (about.losses.size() < kMaxLosses) about.losses.push_back(loss);
  StreamPlace place = about.place;
  place.stream = loss.stream;
  Alarm(SecurityEventKind::kLossReported, place, loss.first_sequence,
        absl::StrCat("the sender lost records ", loss.first_sequence, " to ", loss.last_sequence, ": ",
                     loss.reason));
}

void Reader::HandleOpening(Stream& stream, const Opening& opening) {
  stream.opened = true;
  Sender& sender = *senders_.at(SenderKeyOf(stream.place.topic, stream.place.sender));
  std::optional<StreamId> predecessor;
  if (opening.previous.has_value()) predecessor = opening.previous->stream;
  if (sender.successors.size() < kMaxSuccessors) {
    const auto [known, first] = sender.successors.emplace(predecessor, stream.place.stream);
    if (!first && known->second != stream.place.stream) {
      stream.cloned = true;
      if (Stream* other = FindOfSame(stream, known->second); other != nullptr) other->cloned = true;
      Alarm(SecurityEventKind::kClonedOrRolledBack, stream.place, 0,
            "two streams of this sender name one predecessor");
    }
  } else {
    Alarm(SecurityEventKind::kLimitExceeded, stream.place, 0, "too many streams of this sender");
  }
  // Came later than its successor, and is the earliest now.
  if (const auto next = sender.successors.find(stream.place.stream);
      next != sender.successors.end() && next->second == sender.first) {
    sender.first = stream.place.stream;
  }
  ChooseCurrent(sender, stream, opening);
  if (opening.previous.has_value()) CheckPredecessor(stream, *opening.previous);
  HearFreshness(stream, opening.freshness, 0);
}

// Which stream is the sender's newest follows from its own signed words, never from the order in which a hop
// hands streams out: an old one that was held back must not take the place of a newer one.
void Reader::ChooseCurrent(Sender& sender, Stream& stream, const Opening& opening) {
  const Stream* current = sender.current;
  bool newer = current == nullptr || stream.place.epoch > current->place.epoch;
  if (!newer && stream.place.epoch == current->place.epoch) {
    const bool named_before =
        opening.previous.has_value() && opening.previous->stream == current->place.stream;
    const bool same_boot =
        current->last_word.has_value() && current->last_word->boot == opening.freshness.boot;
    // Of two boots one cannot tell the order, unless the stream at hand was live: then only an echo of a
    // newer probe replaces it (HearFreshness).
    newer = named_before || (same_boot ? opening.freshness.uptime >= current->last_word->uptime
                                       : !current->live_at.has_value());
  }
  if (newer) sender.current = &stream;
  // Somebody may have named it as predecessor already.
  for (size_t steps = 0; steps < sender.successors.size(); ++steps) {
    const auto next = sender.successors.find(sender.current->place.stream);
    if (next == sender.successors.end()) break;
    Stream* follower = FindOfSame(stream, next->second);
    if (follower == nullptr || !follower->opened) break;
    sender.current = follower;
  }
}

// The sender signed that `stream` has `count` records.
void Reader::Close(Stream& stream, uint64_t count) {
  if (stream.closed_at.has_value() && *stream.closed_at <= count) return;
  stream.closed_at = count;
  stream.closed_since = clock_->Uptime();
  for (auto it = stream.held.lower_bound(count); it != stream.held.end();) {
    stream.held_bytes -= it->second.content.size();
    Refuse(stream, SecurityEventKind::kConflict, it->first, "a record beyond the end that the sender signed");
    it = stream.held.erase(it);
  }
}

void Reader::CheckPredecessor(Stream& stream, const PreviousStream& previous) {
  if (!previous.end.has_value()) {
    stream.tail_unknown = true;
    Alarm(SecurityEventKind::kTailUnknown, stream.place, 0,
          "the sender does not know where its stream before ended");
    return;
  }
  if (previous.end->last_sequence >= limits_.records_per_stream) {
    Alarm(SecurityEventKind::kLimitExceeded, stream.place, 0, "no stream has so many records");
    return;
  }
  Stream* before = FindOfSame(stream, previous.stream);
  if (before == nullptr) return MissWhole(stream, previous.stream, *previous.end);
  if (before->awaited.has_value()) return;  // two openings name it: said already
  const uint64_t count = previous.end->last_sequence + 1;
  if (count < before->track.confirmed_to()) {
    stream.cloned = true;
    Alarm(SecurityEventKind::kClonedOrRolledBack, stream.place, 0,
          "the sender remembers less of its stream before than it had signed");
    return;
  }
  Close(*before, count);
  // The signed word in the new opening closes the old stream like a checkpoint.
  Report(*before, before->track.NoteCheckpoint(count, previous.end->hash), count);
  UpdateHole(*before);
}

// `stream` names a stream before it of which nothing was read. Unless that one is read to its end, or was
// before this reader's time, it is waited for under its name, and then missing, as a hole in a stream is.
void Reader::MissWhole(Stream& stream, const StreamId& id, const PreviousStream::End& end) {
  Sender& sender = *senders_.at(SenderKeyOf(stream.place.topic, stream.place.sender));
  const uint64_t count = end.last_sequence + 1;
  uint64_t known = 0;
  if (const auto old = sender.retired.find(id); old != sender.retired.end()) {
    if (old->second.count >= count) return;
    known = old->second.count;  // its keys went before its end was read
  } else if (sender.first == stream.place.stream) {
    return;
  }
  StreamPlace place = stream.place;
  place.stream = id;
  const bool room =
      streams_.size() < limits_.max_streams && sender.streams.size() < limits_.max_streams_per_sender;
  std::unique_ptr<Stream> awaited = known == 0 && room ? MakeStream(place) : nullptr;
  if (awaited == nullptr) {
    const SequenceRange range{known, count - 1};
    listener_->OnMissing(place, range);
    Alarm(SecurityEventKind::kMissing, place, range.first,
          absl::StrCat("records ", range.first, " to ", range.last,
                       " are missing, and too late or too many to be waited for"));
    return;
  }
  awaited->awaited = end.hash;
  awaited->closed_at = count;
  awaited->closed_since = clock_->Uptime();
  awaited->has_signed = true;
  UpdateHole(*awaited);
  // Before `stream`, which came first but is newer: the oldest make room.
  sender.streams.insert(std::ranges::find(sender.streams, &stream), awaited.get());
  streams_.emplace(KeyOf(place), std::move(awaited));
}

void Reader::HandleCheckpoint(Stream& stream, uint64_t sequence, const Checkpoint& checkpoint) {
  Report(stream, stream.track.NoteCheckpoint(checkpoint.count, checkpoint.hash), sequence);
  if (checkpoint.end) {
    stream.ended = true;
    Close(stream, sequence + 1);
  }
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
  Sender& sender = *senders_.at(SenderKeyOf(stream.place.topic, stream.place.sender));
  if (stream.opened && stream.live_at.has_value() && sender.current != nullptr &&
      stream.place.epoch >= sender.current->place.epoch && sender.current->live_at < stream.live_at) {
    sender.current = &stream;
  }
  // A word that was held back and comes after a newer one says nothing new.
  if (stream.last_word.has_value() && sequence <= stream.last_word_sequence) return;
  stream.last_word = freshness;
  stream.last_word_sequence = sequence;
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

Liveness Reader::LivenessOf(const Stream& stream) const {
  if (!stream.live_at.has_value()) return Liveness::kHistory;
  if (MutantActive(Mutant::kLiveForEver)) return Liveness::kLive;
  return clock_->Uptime() - *stream.live_at <= limits_.live_age ? Liveness::kLive : Liveness::kLate;
}

StreamStatus Reader::StatusOf(const Stream& stream) const {
  StreamStatus s;
  s.place = stream.place;
  s.liveness = LivenessOf(stream);
  const auto sender = senders_.find(SenderKeyOf(stream.place.topic, stream.place.sender));
  s.current = sender != senders_.end() && sender->second->current == &stream;
  s.opened = stream.opened;
  s.awaited = stream.awaited.has_value();
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

bool Reader::IsCurrent(const StreamPlace& place) const {
  const auto sender = senders_.find(SenderKeyOf(place.topic, place.sender));
  return sender != senders_.end() && sender->second->current != nullptr &&
         sender->second->current->place.stream == place.stream;
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
