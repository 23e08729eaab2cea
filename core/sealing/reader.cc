#include "core/sealing/reader.h"

#include <algorithm>

#include "core/base/mutants.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"
#include "core/sealing/reader_state.h"

namespace keystead {
namespace {

bool IsSignedKind(std::string_view kind) {
  return kind == kinds::kOpening || kind == kinds::kCheckpoint || kind == kinds::kCommand ||
         kind == kinds::kAnswer || kind == kinds::kReport || kind == kinds::kLoss;
}

SignedPlace PlaceOf(const StreamPlace& stream, uint64_t sequence) {
  SignedPlace place;
  place.tenant = stream.tenant;
  place.id = stream.id;
  place.topic = stream.topic;
  place.sender = stream.sender;
  place.stream = stream.stream;
  place.epoch = stream.epoch;
  place.sequence = sequence;
  return place;
}

}  // namespace

Reader::Reader(MemberId self, const ReaderLimits& limits, const KeyRing* ring, const MembershipChain* chain,
               const Clock* clock, ReaderListener* listener)
    : self_(self), limits_(limits), ring_(ring), chain_(chain), clock_(clock), listener_(listener) {}

Reader::~Reader() = default;

void Reader::Alarm(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence,
                   std::string_view detail) {
  keystead::Report({.kind = kind,
                    .tenant = place.tenant.str(),
                    .instantiation = place.id.ToHex(),
                    .topic = place.topic.str(),
                    .sender = place.sender.ToHex(),
                    .stream = place.stream.ToHex(),
                    .epoch = place.epoch,
                    .sequence = sequence,
                    .peer = "",
                    .detail = std::string(detail)});
  listener_->OnAlarm(kind, place, sequence, detail);
}

// Null when no stream of this id is known yet, or when the id is taken by a stream at another place.
Reader::Stream* Reader::FindOrOpen(const StreamPlace& place) {
  if (last_ != nullptr && last_->place == place) return last_;
  const auto at = streams_.find(place.stream);
  if (at == streams_.end() || at->second->place != place) return nullptr;
  last_ = at->second.get();
  return last_;
}

// A stream that is kept only if its first record opens: headers alone cost a hostile hop nothing.
Reader::Stream* Reader::NewStream(const StreamPlace& place) {
  if (streams_.contains(place.stream) || streams_.size() >= limits_.max_streams) return nullptr;
  if (place.tenant != chain_->tenant() || place.id != chain_->id()) return nullptr;
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
  Stream* raw = stream.get();
  streams_.emplace(place.stream, std::move(stream));
  return raw;
}

// The content of a record that opens and, where its kind or topic asks for it, is signed by the sender.
bool Reader::OpenContent(Stream& stream, uint64_t sequence, ByteView record, Bytes& content) {
  if (!stream.cipher.Open(sequence, record, content).ok()) {
    ++stream.refused;
    Alarm(SecurityEventKind::kOpenFailed, stream.place, sequence, "the record does not open at this place");
    return false;
  }
  const absl::StatusOr<ContentView> view = ParseContent(content);
  if (!view.ok()) {
    ++stream.refused;
    Alarm(SecurityEventKind::kMalformed, stream.place, sequence,
          "the record opens, but its content is malformed");
    return false;
  }
  const bool is_signed = IsSignedKind(view->kind);
  if (!is_signed && (view->kind != kinds::kReadings || stream.place.topic.signs_every_record())) {
    ++stream.refused;
    Alarm(SecurityEventKind::kMalformed, stream.place, sequence, "content of an unknown or unsigned kind");
    return false;
  }
  if (is_signed &&
      !VerifyObject(view->body, stream.sender->ik, view->kind, PlaceOf(stream.place, sequence)).ok()) {
    ++stream.refused;
    Alarm(SecurityEventKind::kSignatureInvalid, stream.place, sequence,
          "the record opens, but its sender did not sign it");
    return false;
  }
  return true;
}

void Reader::Accept(const StreamPlace& place, uint64_t sequence, ByteView record) {
  Stream* stream = FindOrOpen(place);
  const bool is_new = stream == nullptr;
  if (is_new) {
    stream = NewStream(place);
    if (stream == nullptr) {
      Alarm(SecurityEventKind::kOpenFailed, place, sequence, "no stream of a member can stand at this place");
      return;
    }
  }
  const Digest digest = crypto::Sha256(record);
  const StreamTrack::Arrival arrival = stream->track.Classify(sequence, digest);
  if (arrival == StreamTrack::Arrival::kDuplicate && !MutantActive(Mutant::kReplayWindowOff)) {
    ++stream->duplicates;
    stream->pass_end = std::max(stream->pass_end, sequence + 1);
    listener_->OnDuplicate(place, sequence);
    return;
  }
  if (!OpenContent(*stream, sequence, record, content_)) {
    if (is_new) streams_.erase(place.stream);
    return;
  }
  if (is_new) last_ = stream;
  stream->pass_end = std::max(stream->pass_end, sequence + 1);
  switch (arrival) {
    case StreamTrack::Arrival::kConflict:
      ++stream->conflicts;
      stream->track.NoteVariant(sequence, digest);
      Alarm(SecurityEventKind::kConflict, place, sequence, "two different records at one sequence");
      return;
    case StreamTrack::Arrival::kOld:
      ++stream->duplicates;
      listener_->OnDuplicate(place, sequence);
      return;
    case StreamTrack::Arrival::kDuplicate:  // only in the mutant that has no window
      Deliver(*stream, sequence, content_, false);
      return;
    case StreamTrack::Arrival::kTooFarAhead:
      DeclareGap(*stream, sequence);
      break;
    case StreamTrack::Arrival::kNew:
      break;
  }
  Place(*stream, sequence, digest, std::move(content_));
}

void Reader::Place(Stream& stream, uint64_t sequence, const Digest& digest, Bytes content) {
  const uint64_t frontier = stream.track.frontier();
  const StreamTrack::Outcome outcome = stream.track.Note(sequence, digest);
  if (sequence <= frontier) {
    if (sequence == frontier) stream.track.AdvanceTo(frontier + 1);
    Deliver(stream, sequence, content, sequence < frontier);
    content_ = std::move(content);  // keeps its capacity for the next record
    DeliverReady(stream);
  } else {
    if (stream.held.empty()) stream.hole_since = clock_->Uptime();
    stream.held_bytes += content.size();
    stream.held.emplace(sequence, std::move(content));
    if (stream.held_bytes > limits_.max_held_bytes) DeclareGap(stream, stream.held.begin()->first);
  }
  Report(stream, outcome, sequence);
}

void Reader::DeliverReady(Stream& stream) {
  while (!stream.held.empty() && stream.held.begin()->first == stream.track.frontier()) {
    auto next = stream.held.extract(stream.held.begin());
    stream.held_bytes -= next.mapped().size();
    stream.track.AdvanceTo(next.key() + 1);
    Deliver(stream, next.key(), next.mapped(), false);
  }
  if (stream.held.empty()) stream.hole_since = absl::InfiniteDuration();
}

// Everything before `up_to` that is not here is missing; what is held in between is delivered.
void Reader::DeclareGap(Stream& stream, uint64_t up_to) {
  while (stream.track.frontier() < up_to) {
    const uint64_t frontier = stream.track.frontier();
    const uint64_t next = stream.held.empty() ? up_to : std::min(up_to, stream.held.begin()->first);
    if (next > frontier) {
      stream.track.DeclareMissing(next);
      const SequenceRange range{frontier, next - 1};
      listener_->OnMissing(stream.place, range);
      Alarm(SecurityEventKind::kMissing, stream.place, frontier,
            absl::StrCat("records ", range.first, " to ", range.last, " are missing"));
    }
    DeliverReady(stream);
  }
  DeliverReady(stream);
  if (!stream.held.empty()) stream.hole_since = clock_->Uptime();
}

void Reader::Deliver(Stream& stream, uint64_t sequence, ByteView content, bool filled) {
  const absl::StatusOr<ContentView> view = ParseContent(content);
  if (!view.ok()) return;  // verified on arrival
  ReadRecord record;
  record.place = &stream.place;
  record.sequence = sequence;
  record.kind = view->kind;
  record.body = view->body;
  record.sender = stream.sender;
  record.filled = filled;
  record.after_removal = stream.after_removal;
  if (IsSignedKind(view->kind)) {
    record.confirmed = true;
    record.signed_object = view->body;
    const absl::StatusOr<ByteView> payload = UnverifiedPayload(view->body);
    if (!payload.ok()) return;
    record.body = *payload;
    HandleSigned(stream, record);
  }
  listener_->OnRecord(record);
}

void Reader::Report(const Stream& stream, const StreamTrack::Outcome& outcome, uint64_t sequence) {
  for (const SequenceRange& range : outcome.confirmed) listener_->OnConfirmed(stream.place, range);
  if (outcome.swapped.has_value()) {
    Alarm(SecurityEventKind::kConflict, stream.place, *outcome.swapped,
          "the sender confirms the other record, not the one that was shown first");
  }
  if (outcome.broken) {
    Alarm(SecurityEventKind::kHashChainBroken, stream.place, sequence,
          "the sender's checkpoint contradicts the records before it");
  }
}

void Reader::Tick() {
  const absl::Duration now = clock_->Uptime();
  for (auto& [id, stream] : streams_) {
    if (now - stream->hole_since >= limits_.gap_grace && stream->hole_since != absl::InfiniteDuration()) {
      DeclareGap(*stream, stream->held.empty() ? stream->told_end.value_or(0) : stream->held.begin()->first);
      if (stream->held.empty()) stream->hole_since = absl::InfiniteDuration();
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
}

void Reader::BeginPass(const Topic& topic) {
  for (auto& [id, stream] : streams_) {
    if (stream->place.topic != topic) continue;
    stream->pass_end = 0;
    stream->in_pass = true;
  }
}

void Reader::CaughtUp(const Topic& topic) {
  for (auto& [id, stream] : streams_) {
    if (stream->place.topic != topic || !stream->in_pass) continue;
    stream->in_pass = false;
    const auto sender = senders_.find(SenderKeyOf(topic, stream->place.sender));
    // Retention may drop a whole old stream, never the end of the newest.
    if (sender == senders_.end() || sender->second->current != stream.get()) continue;
    if (stream->pass_end < stream->track.end()) {
      Alarm(SecurityEventKind::kProviderRolledBack, stream->place, stream->pass_end,
            absl::StrCat("this hop has records up to ", stream->pass_end, " of ", stream->track.end(),
                         " seen before"));
    }
  }
}

}  // namespace keystead
