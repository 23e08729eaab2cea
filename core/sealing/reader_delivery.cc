// From a record that opened to the listener: in stream order, once, and with what checkpoints say of it.

#include <algorithm>

#include "core/sealing/reader_state.h"

namespace keystead {

// content_ holds a second record that opens at a taken sequence.
void Reader::Contradict(Stream& stream, uint64_t sequence, const Digest& digest) {
  ++stream.conflicts;
  Alarm(SecurityEventKind::kConflict, stream.place, sequence, "two different records at one sequence");
  StreamTrack::Outcome outcome;
  if (stream.variant_bytes + content_.size() > limits_.max_variant_bytes) return;
  // Kept first: the variant may be what settles its segment at once.
  const std::pair key(sequence, digest);
  stream.variant_bytes += content_.size();
  stream.variants.insert_or_assign(key, content_);
  if (!stream.track.NoteVariant(sequence, digest, outcome)) {
    stream.variant_bytes -= content_.size();
    stream.variants.erase(key);
  }
  Report(stream, outcome, sequence);
}

// content_ holds a record that opened, and is new.
void Reader::Place(Stream& stream, uint64_t sequence, const Digest& digest) {
  const uint64_t frontier = stream.track.frontier();
  const StreamTrack::Outcome outcome = stream.track.Note(sequence, digest);
  if (sequence <= frontier) {
    if (sequence == frontier) stream.track.AdvanceTo(frontier + 1);
    Bytes content = std::move(content_);
    Deliver(stream, sequence, digest, content, sequence < frontier, false);
    content_ = std::move(content);  // keeps its capacity for the next record
    DeliverReady(stream);
  } else {
    stream.held_bytes += content_.size();
    stream.held.emplace(sequence, Stream::Held{digest, std::move(content_)});
    stream.held_since.emplace_back(sequence, clock_->Uptime());
    content_ = Bytes();
    while (stream.held_bytes > limits_.max_held_bytes) DeclareGap(stream, stream.held.begin()->first);
  }
  Report(stream, outcome, sequence);
}

void Reader::DeliverReady(Stream& stream) {
  while (!stream.held.empty() && stream.held.begin()->first == stream.track.frontier()) {
    auto next = stream.held.extract(stream.held.begin());
    stream.held_bytes -= next.mapped().content.size();
    stream.track.AdvanceTo(next.key() + 1);
    Deliver(stream, next.key(), next.mapped().sealed, next.mapped().content, false, false);
  }
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
}

// Each hole has the whole grace, counted from when something came that follows it: holes age side by side,
// however many a hop makes.
void Reader::UpdateHole(Stream& stream) {
  auto& since = stream.held_since;
  while (!since.empty() && !stream.held.contains(since.front().first)) since.pop_front();
  stream.hole_since = since.empty() ? absl::InfiniteDuration() : since.front().second;
  if (stream.closed_at.value_or(0) > stream.track.frontier()) {
    stream.hole_since = std::min(stream.hole_since, stream.closed_since);
  }
}

void Reader::Deliver(Stream& stream, uint64_t sequence, const Digest& sealed, ByteView content, bool filled,
                     bool replaces) {
  const absl::StatusOr<ContentView> view = ParseContent(content);
  if (!view.ok()) return;  // verified on arrival
  ReadRecord record;
  record.place = &stream.place;
  record.sequence = sequence;
  record.sealed = sealed;
  record.kind = view->kind;
  record.body = view->body;
  record.sender = stream.sender;
  record.confirmed = replaces;
  record.filled = filled;
  record.replaces = replaces;
  record.after_removal = stream.after_removal;
  if (IsSignedKind(view->kind)) {
    record.confirmed = true;
    record.signed_object = view->body;
    const absl::StatusOr<ByteView> payload = UnverifiedPayload(view->body);  // verified on arrival
    if (!payload.ok()) return;
    record.body = *payload;
    HandleSigned(stream, record);
  }
  listener_->OnRecord(record);
}

void Reader::Report(Stream& stream, const StreamTrack::Outcome& outcome, uint64_t sequence) {
  for (const SequenceRange& range : outcome.confirmed) listener_->OnConfirmed(stream.place, range);
  for (const StreamTrack::Swap& swap : outcome.swapped) {
    Alarm(SecurityEventKind::kConflict, stream.place, swap.sequence,
          "the sender confirms the other record, not the one that was shown first");
    const auto content = stream.variants.find({swap.sequence, swap.record});
    if (content != stream.variants.end())
      Deliver(stream, swap.sequence, swap.record, content->second, false, true);
  }
  if (outcome.broken) {
    stream.broken = true;
    Alarm(SecurityEventKind::kHashChainBroken, stream.place, sequence,
          "the sender's checkpoint contradicts the records before it");
  }
  const auto decided = [&](uint64_t at) {
    return std::ranges::any_of(outcome.confirmed,
                               [&](const SequenceRange& r) { return at >= r.first && at <= r.last; }) ||
           std::ranges::any_of(outcome.swapped, [&](const auto& swap) { return swap.sequence == at; });
  };
  std::erase_if(stream.variants, [&](const auto& variant) {
    if (!decided(variant.first.first)) return false;
    stream.variant_bytes -= variant.second.size();
    return true;
  });
}

}  // namespace keystead
