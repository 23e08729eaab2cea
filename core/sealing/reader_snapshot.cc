// What a Reader carries from one start of its program to the next.

#include <algorithm>

#include "core/cose/cbor.h"
#include "core/sealing/reader_state.h"

namespace keystead {

// Reads and writes the inside of StreamTrack and Reader; the only friend of both.
class ReaderSnapshot {
 public:
  static void WriteTrack(cose::CborWriter& w, const StreamTrack& t) {
    w.Array(8).Uint(t.frontier_).Uint(t.end_).Uint(t.received_).Uint(t.confirmed_count_).Uint(t.base_);
    w.Bstr(t.base_hash_.view());
    // Only what was delivered: records held back for a gap must come again and be delivered then.
    const uint64_t delivered = t.frontier_ > t.base_ ? t.frontier_ - t.base_ : 0;
    const size_t kept = std::min<uint64_t>(t.open_.size(), delivered);
    w.Array(kept);
    for (size_t i = 0; i < kept; ++i) cose::EncodeOne(w, t.open_[i]);
    w.Array(t.missing_.size());
    for (const auto& [first, last] : t.missing_) w.Array(2).Uint(first).Uint(last);
  }

  static absl::Status ReadTrack(cose::CborReader& r, StreamTrack& t) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(8));
    KS_ASSIGN_OR_RETURN(t.frontier_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.end_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.received_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.confirmed_count_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.base_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.base_hash_, r.ReadId<Digest>());
    KS_ASSIGN_OR_RETURN(const size_t open, r.ReadArray());
    t.open_.assign(open, std::nullopt);
    for (size_t i = 0; i < open; ++i) {
      KS_ASSIGN_OR_RETURN(const bool absent, r.TryNull());
      if (absent) continue;
      KS_ASSIGN_OR_RETURN(const Digest digest, r.ReadId<Digest>());
      t.open_[i] = digest;
      t.SlotOf(t.base_ + i) = {t.base_ + i, digest, true};
    }
    KS_ASSIGN_OR_RETURN(const size_t gaps, r.ReadArray());
    for (size_t i = 0; i < gaps; ++i) {
      KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
      KS_ASSIGN_OR_RETURN(const uint64_t first, r.ReadUint());
      KS_ASSIGN_OR_RETURN(t.missing_[first], r.ReadUint());
    }
    return absl::OkStatus();
  }

  static void WriteStream(cose::CborWriter& w, const Reader::Stream& s, bool current) {
    w.Array(9)
        .Text(s.place.topic.str())
        .Bstr(s.place.sender.view())
        .Uint(s.place.epoch)
        .Bstr(s.place.stream.view());
    w.Bool(current).Bool(s.opened).Bool(s.ended);
    std::optional<StreamId> predecessor;
    if (s.opening.has_value() && s.opening->previous.has_value()) predecessor = s.opening->previous->stream;
    cose::EncodeOne(w, predecessor);
    WriteTrack(w, s.track);
  }

  static absl::Status ReadStream(cose::CborReader& r, Reader& reader) {
    StreamPlace place;
    place.tenant = reader.chain_->tenant();
    place.id = reader.chain_->id();
    KS_RETURN_IF_ERROR(r.ReadArrayOf(9));
    KS_ASSIGN_OR_RETURN(const std::string_view topic, r.ReadText());
    KS_ASSIGN_OR_RETURN(place.topic, Topic::Parse(topic));
    KS_ASSIGN_OR_RETURN(place.sender, r.ReadId<MemberId>());
    KS_ASSIGN_OR_RETURN(place.epoch, r.ReadUint());
    KS_ASSIGN_OR_RETURN(place.stream, r.ReadId<StreamId>());
    KS_ASSIGN_OR_RETURN(const bool current, r.ReadBool());
    KS_ASSIGN_OR_RETURN(const bool opened, r.ReadBool());
    KS_ASSIGN_OR_RETURN(const bool ended, r.ReadBool());
    KS_ASSIGN_OR_RETURN(const bool no_predecessor, r.TryNull());
    std::optional<StreamId> predecessor;
    if (!no_predecessor) {
      KS_ASSIGN_OR_RETURN(predecessor, r.ReadId<StreamId>());
    }
    StreamTrack track{Digest()};
    KS_RETURN_IF_ERROR(ReadTrack(r, track));
    Reader::Stream* stream = reader.NewStream(place);
    if (stream == nullptr) return absl::OkStatus();  // its keys are gone: nothing of it can be read any more
    stream->track = std::move(track);
    stream->opened = opened;
    stream->ended = ended;
    stream->last_word_at = reader.clock_->Uptime();
    if (!opened) return absl::OkStatus();
    std::unique_ptr<Reader::Sender>& sender = reader.senders_[Reader::SenderKeyOf(place.topic, place.sender)];
    if (sender == nullptr) sender = std::make_unique<Reader::Sender>();
    sender->successors.emplace(predecessor, place.stream);
    if (current) sender->current = stream;
    return absl::OkStatus();
  }
};

Bytes Reader::Snapshot() const {
  cose::CborWriter w;
  w.Array(streams_.size());
  for (const auto& [id, stream] : streams_) {
    const auto sender = senders_.find(SenderKeyOf(stream->place.topic, stream->place.sender));
    ReaderSnapshot::WriteStream(w, *stream,
                                sender != senders_.end() && sender->second->current == stream.get());
  }
  return w.Take();
}

absl::Status Reader::Restore(ByteView snapshot) {
  cose::CborReader r(snapshot, {.max_depth = limits::kMaxCborDepth, .max_items = size_t{1} << 24});
  absl::StatusOr<size_t> count = r.ReadArray();
  absl::Status status = count.status();
  for (size_t i = 0; status.ok() && i < *count; ++i) status = ReaderSnapshot::ReadStream(r, *this);
  if (status.ok()) status = r.Finish();
  if (!status.ok())
    return absl::DataLossError(absl::StrCat("stored reader state is damaged: ", status.message()));
  return absl::OkStatus();
}

}  // namespace keystead
