#include "core/sealing/reader.h"

#include <algorithm>

#include "core/base/mutants.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"
#include "core/sealing/places.h"
#include "core/sealing/reader_state.h"

namespace keystead {
namespace {

// What may stand where. An answer among readings, or a command among answers, is nobody's honest record.
bool BelongsIn(TopicKind topic, std::string_view kind) {
  if (kind == kinds::kOpening || kind == kinds::kCheckpoint || kind == kinds::kLoss) return true;
  switch (topic) {
    case TopicKind::kTelemetry:
      return kind == kinds::kReadings;
    case TopicKind::kCommand:
      return kind == kinds::kCommand;
    case TopicKind::kState:
      return kind == kinds::kAnswer || kind == kinds::kReport;
    case TopicKind::kKeyring:
      return false;
  }
  return false;
}

// The bodies this folder acts on itself: one that is malformed never counts as a record.
bool IsWellFormed(const StreamPlace& place, uint64_t sequence, std::string_view kind, ByteView payload) {
  if (kind == kinds::kOpening) {
    const absl::StatusOr<Opening> opening = ParseOpening(payload);
    return opening.ok() && (!opening->previous.has_value() || opening->previous->stream != place.stream);
  }
  if (kind == kinds::kCheckpoint) {
    const absl::StatusOr<Checkpoint> checkpoint = ParseCheckpoint(payload);
    return checkpoint.ok() && checkpoint->count == sequence;
  }
  return kind != kinds::kLoss || ParseLoss(payload).ok();
}

}  // namespace

Reader::Reader(MemberId self, const ReaderLimits& limits, const KeyRing* ring, const MembershipChain* chain,
               const Clock* clock, ReaderListener* listener)
    : self_(self), limits_(limits), ring_(ring), chain_(chain), clock_(clock), listener_(listener) {}

Reader::~Reader() = default;

void Reader::Alarm(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence,
                   std::string_view detail) {
  keystead::Report(EventAt(kind, place, sequence, detail));
  listener_->OnAlarm(kind, place, sequence, detail);
}

void Reader::Refuse(Stream& stream, SecurityEventKind kind, uint64_t sequence, std::string_view why) {
  ++stream.refused;
  Alarm(kind, stream.place, sequence, why);
}

Reader::Stream* Reader::Find(const StreamPlace& place) {
  if (last_ != nullptr && last_->place == place) return last_;
  const auto at = streams_.find(KeyOf(place));
  if (at == streams_.end() || at->second->awaited.has_value() || at->second->place != place) return nullptr;
  last_ = at->second.get();
  return last_;
}

Reader::Stream* Reader::FindOfSame(const Stream& stream, const StreamId& id) {
  const auto at = streams_.find(StreamKey(stream.place.topic, stream.place.sender, id));
  return at == streams_.end() ? nullptr : at->second.get();
}

// A stream that could stand at this place. It is kept only if its first record opens: headers alone cost a
// hostile hop's reader no memory.
std::unique_ptr<Reader::Stream> Reader::MakeStream(const StreamPlace& place) const {
  if (place.tenant != chain_->tenant() || place.id != chain_->id() || !place.topic.is_sealed())
    return nullptr;
  const SignedCommit* commit = chain_->At(place.epoch);
  const RosterEntry* sender = commit == nullptr ? nullptr : commit->body.roster.Find(place.sender);
  if (sender == nullptr || !commit->body.roster.MayWrite(*sender, place.topic)) return nullptr;
  const absl::StatusOr<SenderKey> key = ring_->SenderKeyFor(place.epoch, place.topic, place.sender);
  if (!key.ok()) return nullptr;
  absl::StatusOr<RecordCipher> cipher = RecordCipher::Create(*key, place);
  if (!cipher.ok()) return nullptr;
  auto stream = std::make_unique<Stream>(place, *std::move(cipher));
  stream->sender = sender;
  stream->after_removal = chain_->roster().Find(place.sender) == nullptr;
  return stream;
}

// What a member could write, in a topic of a member, in an epoch in which this reader was none: a guest who
// came later, or was put out, was never meant to read it, and an honest hop holds it all the same. Nobody
// could write to this reader itself then, so a command that says so is no such record.
bool Reader::NotOurs(const StreamPlace& place) const {
  if (place.tenant != chain_->tenant() || place.id != chain_->id() || !place.topic.is_sealed()) return false;
  const SignedCommit* const commit = chain_->At(place.epoch);
  if (commit == nullptr || commit->body.roster.Find(self_) != nullptr) return false;
  if (commit->body.roster.Find(place.topic.member()) == nullptr) return false;
  const RosterEntry* const sender = commit->body.roster.Find(place.sender);
  return sender != nullptr && commit->body.roster.MayWrite(*sender, place.topic);
}

// Null when the stream is not to be kept although its record opened.
Reader::Stream* Reader::Keep(std::unique_ptr<Stream> stream, uint64_t sequence, bool is_signed) {
  const StreamPlace& place = stream->place;
  std::unique_ptr<Sender>& sender = senders_[SenderKeyOf(place.topic, place.sender)];
  if (sender == nullptr) sender = std::make_unique<Sender>();
  if (const auto old = sender->retired.find(place.stream); old != sender->retired.end()) {
    if (old->second.epoch == place.epoch && sequence < old->second.count) {
      listener_->OnDuplicate(place, sequence);
    } else {
      Alarm(SecurityEventKind::kConflict, place, sequence,
            "a record beyond the end of a stream that was read");
    }
    return nullptr;
  }
  if (const auto awaited = streams_.find(KeyOf(place));
      awaited != streams_.end() && awaited->second->awaited.has_value()) {
    return BeginAwaited(*awaited->second, std::move(*stream));
  }
  const size_t of_sender = sender->streams.size();
  const auto unsigned_ones = static_cast<size_t>(
      std::ranges::count_if(sender->streams, [](const Stream* s) { return !s->has_signed; }));
  // A stream whose opening comes first is the sender's own and needs no such bound.
  const bool too_many = streams_.contains(KeyOf(place)) || streams_.size() >= limits_.max_streams ||
                        of_sender >= 2 * limits_.max_streams_per_sender ||
                        (!is_signed && unsigned_ones >= limits_.max_unsigned_streams);
  if (too_many) {
    Alarm(SecurityEventKind::kLimitExceeded, place, sequence, "too many streams of this sender");
    return nullptr;
  }
  Stream* raw = stream.get();
  streams_.emplace(KeyOf(place), std::move(stream));
  sender->streams.push_back(raw);
  last_ = raw;
  if (of_sender + 1 > limits_.max_streams_per_sender) retire_due_ = true;
  return raw;
}

// The first record of a stream of which a later opening has told how it ended: the epoch is known at last,
// and what was called missing is still missed.
Reader::Stream* Reader::BeginAwaited(Stream& awaited, Stream fresh) {
  fresh.closed_at = awaited.closed_at;
  fresh.closed_since = awaited.closed_since;
  fresh.has_signed = true;
  fresh.cloned = awaited.cloned;
  fresh.losses = std::move(awaited.losses);
  fresh.track.DeclareMissing(awaited.track.frontier());
  const Digest end = *awaited.awaited;
  awaited = std::move(fresh);  // stays where its sender's list points to
  Report(awaited, awaited.track.NoteCheckpoint(*awaited.closed_at, end), *awaited.closed_at);
  last_ = &awaited;
  return &awaited;
}

// Whether the record opens into content_ and is what may stand at this place, signed by the sender where its
// kind or topic asks for it.
bool Reader::OpenContent(Stream& stream, uint64_t sequence, ByteView record, bool& is_signed) {
  if (!stream.cipher.Open(sequence, record, content_).ok()) {
    Refuse(stream, SecurityEventKind::kOpenFailed, sequence, "the record does not open at this place");
    return false;
  }
  const absl::StatusOr<ContentView> view = ParseContent(content_);
  if (!view.ok() || !BelongsIn(stream.place.topic.kind(), view->kind) ||
      (sequence == 0) != (view->kind == kinds::kOpening)) {
    Refuse(stream, SecurityEventKind::kMalformed, sequence,
           "the record opens, but its content is not of a kind that may stand there");
    return false;
  }
  is_signed = IsSignedKind(view->kind);
  if (!is_signed) return true;
  const absl::StatusOr<ByteView> payload =
      stream.sender == nullptr
          ? absl::UnauthenticatedError("no sender")
          : VerifyObject(view->body, stream.sender->ik, view->kind, SignedPlaceOf(stream.place, sequence));
  if (!payload.ok()) {
    Refuse(stream, SecurityEventKind::kSignatureInvalid, sequence,
           "the record opens, but its sender did not sign it");
    return false;
  }
  if (!IsWellFormed(stream.place, sequence, view->kind, *payload)) {
    Refuse(stream, SecurityEventKind::kMalformed, sequence, "what the sender signed is malformed");
    return false;
  }
  return true;
}

void Reader::Accept(const StreamPlace& place, uint64_t sequence, ByteView record) {
  if (sequence >= limits_.records_per_stream) {
    Alarm(SecurityEventKind::kLimitExceeded, place, sequence, "no stream has so many records");
    return;
  }
  Stream* stream = Find(place);
  std::unique_ptr<Stream> fresh;
  if (stream == nullptr) {
    fresh = MakeStream(place);
    if (fresh == nullptr && NotOurs(place)) return;
    if (fresh == nullptr) {
      ++totals_.failed;
      Alarm(SecurityEventKind::kOpenFailed, place, sequence, "no stream of a member can stand at this place");
      return;
    }
    stream = fresh.get();
  }
  const Digest digest = crypto::Sha256(record);
  StreamTrack::Arrival arrival = stream->track.Classify(sequence, digest);
  if (arrival == StreamTrack::Arrival::kDuplicate && !MutantActive(Mutant::kReplayWindowOff)) {
    ++stream->duplicates;
    if (stream->pass.has_value()) stream->pass->See(sequence);
    listener_->OnDuplicate(place, sequence);
    return;
  }
  bool is_signed = false;
  if (!OpenContent(*stream, sequence, record, is_signed)) {
    ++totals_.failed;
    return;
  }
  ++totals_.opened;
  if (fresh != nullptr) {
    stream = Keep(std::move(fresh), sequence, is_signed);
    if (stream == nullptr) return;
    arrival = stream->track.Classify(sequence, digest);  // one that was awaited has gaps already
  }
  if (is_signed) {
    stream->has_signed = true;
    std::optional<StreamId>& first = senders_.at(SenderKeyOf(place.topic, place.sender))->first;
    if (!first.has_value()) first = place.stream;
  }
  if (stream->closed_at.has_value() && sequence >= *stream->closed_at) {
    Refuse(*stream, SecurityEventKind::kConflict, sequence, "a record beyond the end that the sender signed");
    return;
  }
  if (stream->pass.has_value()) stream->pass->See(sequence);
  switch (arrival) {
    case StreamTrack::Arrival::kConflict:
      Contradict(*stream, sequence, digest);
      break;
    case StreamTrack::Arrival::kOld:
      ++stream->duplicates;
      listener_->OnDuplicate(place, sequence);
      break;
    case StreamTrack::Arrival::kDuplicate:  // only in the mutant that has no window
      Deliver(*stream, sequence, digest, content_, false, false);
      break;
    case StreamTrack::Arrival::kTooFarAhead:
      DeclareGap(*stream, sequence);
      Place(*stream, sequence, digest);
      break;
    case StreamTrack::Arrival::kNew:
      Place(*stream, sequence, digest);
      break;
  }
  UpdateHole(*stream);
  if (retire_due_) RetireStreams();
}

}  // namespace keystead
