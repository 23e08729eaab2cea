// What a Reader carries from one start of its program to the next.

#include <algorithm>

#include "core/cose/cbor.h"
#include "core/sealing/reader_state.h"

namespace keystead {
namespace {

constexpr uint64_t kOpened = 1, kEnded = 2, kTailUnknown = 4, kCloned = 8, kBroken = 16, kHasSigned = 32;

}  // namespace

// Reads and writes the inside of StreamTrack and Reader; the only friend of both.
class ReaderSnapshot {
 public:
  using Records = std::vector<std::optional<Digest>>;

  // Only what was delivered: records held back for a gap must come again and be delivered then.
  static void WriteRecords(cose::CborWriter& w, const Records& records, uint64_t first, uint64_t frontier,
                           bool keep_length) {
    const uint64_t delivered = frontier > first ? frontier - first : 0;
    const size_t kept = static_cast<size_t>(std::min<uint64_t>(records.size(), delivered));
    w.Array(keep_length ? records.size() : kept);
    for (size_t i = 0; i < kept; ++i) cose::EncodeOne(w, records[i]);
    for (size_t i = kept; keep_length && i < records.size(); ++i) w.Null();
  }

  static absl::StatusOr<Records> ReadRecords(cose::CborReader& r) {
    KS_ASSIGN_OR_RETURN(const size_t count, r.ReadArray());
    Records records(count);
    for (std::optional<Digest>& record : records) {
      KS_ASSIGN_OR_RETURN(const bool absent, r.TryNull());
      if (absent) continue;
      KS_ASSIGN_OR_RETURN(record, r.ReadId<Digest>());
    }
    return records;
  }

  static void WriteTrack(cose::CborWriter& w, const StreamTrack& t, size_t held) {
    w.Array(9).Uint(t.frontier_).Uint(t.end_).Uint(t.received_ - held).Uint(t.confirmed_count_).Uint(t.base_);
    w.Bstr(t.base_hash_.view());
    WriteRecords(w, t.open_, t.base_, t.frontier_, false);
    w.Array(t.waiting_.size());
    for (const StreamTrack::Segment& s : t.waiting_) {
      w.Array(5).Uint(s.first).Bstr(s.from.view()).Bstr(s.to.view()).Bool(s.broken);
      WriteRecords(w, s.records, s.first, t.frontier_, true);
    }
    w.Array(t.missing_.size());
    for (const auto& [first, last] : t.missing_) w.Array(2).Uint(first).Uint(last);
  }

  static absl::Status ReadTrack(cose::CborReader& r, StreamTrack& t) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(9));
    KS_ASSIGN_OR_RETURN(t.frontier_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.end_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.received_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.confirmed_count_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.base_, r.ReadUint());
    KS_ASSIGN_OR_RETURN(t.base_hash_, r.ReadId<Digest>());
    KS_ASSIGN_OR_RETURN(t.open_, ReadRecords(r));
    KS_ASSIGN_OR_RETURN(const size_t waiting, r.ReadArray());
    for (size_t i = 0; i < waiting; ++i) {
      StreamTrack::Segment s;
      KS_RETURN_IF_ERROR(r.ReadArrayOf(5));
      KS_ASSIGN_OR_RETURN(s.first, r.ReadUint());
      KS_ASSIGN_OR_RETURN(s.from, r.ReadId<Digest>());
      KS_ASSIGN_OR_RETURN(s.to, r.ReadId<Digest>());
      KS_ASSIGN_OR_RETURN(s.broken, r.ReadBool());
      KS_ASSIGN_OR_RETURN(s.records, ReadRecords(r));
      Remember(t, s.first, s.records);
      t.Wait(std::move(s));
    }
    Remember(t, t.base_, t.open_);
    KS_ASSIGN_OR_RETURN(const size_t gaps, r.ReadArray());
    for (size_t i = 0; i < gaps; ++i) {
      KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
      KS_ASSIGN_OR_RETURN(const uint64_t first, r.ReadUint());
      KS_ASSIGN_OR_RETURN(t.missing_[first], r.ReadUint());
    }
    return absl::OkStatus();
  }

  static void Remember(StreamTrack& t, uint64_t first, const Records& records) {
    for (size_t i = 0; i < records.size(); ++i) {
      if (records[i].has_value()) t.SetSlot(first + i, *records[i], false);
    }
  }

  static void WriteStream(cose::CborWriter& w, const Reader::Stream& s) {
    w.Array(6).Bstr(s.place.stream.view()).Uint(s.place.epoch);
    w.Uint((s.opened ? kOpened : 0) | (s.ended ? kEnded : 0) | (s.tail_unknown ? kTailUnknown : 0) |
           (s.cloned ? kCloned : 0) | (s.broken ? kBroken : 0) | (s.has_signed ? kHasSigned : 0));
    cose::EncodeOne(w, s.closed_at);
    cose::EncodeOne(w, s.awaited);
    WriteTrack(w, s.track, s.held.size());
  }

  static absl::Status ReadStream(cose::CborReader& r, Reader& reader, StreamPlace place,
                                 Reader::Sender& sender) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(6));
    KS_ASSIGN_OR_RETURN(place.stream, r.ReadId<StreamId>());
    KS_ASSIGN_OR_RETURN(place.epoch, r.ReadUint());
    KS_ASSIGN_OR_RETURN(const uint64_t flags, r.ReadUint());
    KS_ASSIGN_OR_RETURN(const bool open_end, r.TryNull());
    std::optional<uint64_t> closed_at;
    if (!open_end) {
      KS_ASSIGN_OR_RETURN(closed_at, r.ReadUint());
    }
    KS_ASSIGN_OR_RETURN(const bool not_awaited, r.TryNull());
    std::optional<Digest> awaited;
    if (!not_awaited) {
      KS_ASSIGN_OR_RETURN(awaited, r.ReadId<Digest>());
      if (!closed_at.has_value()) return absl::DataLossError("a stream that is awaited has no end");
    }
    StreamTrack track{Digest()};
    KS_RETURN_IF_ERROR(ReadTrack(r, track));
    std::unique_ptr<Reader::Stream> stream = reader.MakeStream(place);
    if (stream == nullptr) return absl::OkStatus();  // its keys are gone: nothing of it can be read any more
    stream->track = std::move(track);
    stream->closed_at = closed_at;
    stream->closed_since = reader.clock_->Uptime();
    stream->awaited = awaited;
    stream->opened = (flags & kOpened) != 0;
    stream->ended = (flags & kEnded) != 0;
    stream->tail_unknown = (flags & kTailUnknown) != 0;
    stream->cloned = (flags & kCloned) != 0;
    stream->broken = (flags & kBroken) != 0;
    stream->has_signed = (flags & kHasSigned) != 0;
    stream->last_word_at = reader.clock_->Uptime();
    Reader::Stream* raw = stream.get();
    if (!reader.streams_.emplace(Reader::KeyOf(place), std::move(stream)).second)
      return absl::DataLossError("a stream stands twice");
    sender.streams.push_back(raw);
    reader.UpdateHole(*raw);
    return absl::OkStatus();
  }

  static void WriteSender(cose::CborWriter& w, const Topic& topic, const MemberId& member,
                          const Reader::Sender& s) {
    w.Array(7).Text(topic.str()).Bstr(member.view());
    cose::EncodeOne(w, s.first);
    std::optional<StreamId> current;
    if (s.current != nullptr) current = s.current->place.stream;
    cose::EncodeOne(w, current);
    w.Array(s.successors.size());
    for (const auto& [before, after] : s.successors) {
      w.Array(2);
      cose::EncodeOne(w, before);
      w.Bstr(after.view());
    }
    w.Array(s.retired.size());
    for (const auto& [id, retired] : s.retired)
      w.Array(3).Bstr(id.view()).Uint(retired.epoch).Uint(retired.count);
    w.Array(s.streams.size());
    for (const Reader::Stream* stream : s.streams) WriteStream(w, *stream);
  }

  static absl::Status ReadSender(cose::CborReader& r, Reader& reader) {
    StreamPlace place;
    place.tenant = reader.chain_->tenant();
    place.id = reader.chain_->id();
    KS_RETURN_IF_ERROR(r.ReadArrayOf(7));
    KS_ASSIGN_OR_RETURN(const std::string_view topic, r.ReadText());
    KS_ASSIGN_OR_RETURN(place.topic, Topic::Parse(topic));
    KS_ASSIGN_OR_RETURN(place.sender, r.ReadId<MemberId>());
    std::unique_ptr<Reader::Sender>& sender = reader.senders_[Reader::SenderKeyOf(place.topic, place.sender)];
    if (sender == nullptr) sender = std::make_unique<Reader::Sender>();
    KS_ASSIGN_OR_RETURN(const bool no_first, r.TryNull());
    if (!no_first) {
      KS_ASSIGN_OR_RETURN(sender->first, r.ReadId<StreamId>());
    }
    KS_ASSIGN_OR_RETURN(const bool no_current, r.TryNull());
    std::optional<StreamId> current;
    if (!no_current) {
      KS_ASSIGN_OR_RETURN(current, r.ReadId<StreamId>());
    }
    KS_ASSIGN_OR_RETURN(const size_t successors, r.ReadArray());
    for (size_t i = 0; i < successors; ++i) {
      KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
      KS_ASSIGN_OR_RETURN(const bool first, r.TryNull());
      std::optional<StreamId> before;
      if (!first) {
        KS_ASSIGN_OR_RETURN(before, r.ReadId<StreamId>());
      }
      KS_ASSIGN_OR_RETURN(sender->successors[before], r.ReadId<StreamId>());
    }
    KS_ASSIGN_OR_RETURN(const size_t retired, r.ReadArray());
    for (size_t i = 0; i < retired; ++i) {
      KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
      KS_ASSIGN_OR_RETURN(const StreamId id, r.ReadId<StreamId>());
      KS_ASSIGN_OR_RETURN(sender->retired[id].epoch, r.ReadUint());
      KS_ASSIGN_OR_RETURN(sender->retired[id].count, r.ReadUint());
    }
    KS_ASSIGN_OR_RETURN(const size_t streams, r.ReadArray());
    for (size_t i = 0; i < streams; ++i) KS_RETURN_IF_ERROR(ReadStream(r, reader, place, *sender));
    const auto at = std::ranges::find_if(sender->streams,
                                         [&](const Reader::Stream* s) { return current == s->place.stream; });
    if (at != sender->streams.end()) sender->current = *at;
    return absl::OkStatus();
  }
};

Bytes Reader::Snapshot() const {
  cose::CborWriter w;
  w.Array(senders_.size());
  for (const auto& [key, sender] : senders_) ReaderSnapshot::WriteSender(w, key.first, key.second, *sender);
  return w.Take();
}

absl::Status Reader::Restore(ByteView snapshot) {
  cose::CborReader r(snapshot, {.max_depth = limits::kMaxCborDepth, .max_items = size_t{1} << 24});
  absl::StatusOr<size_t> count = r.ReadArray();
  absl::Status status = count.status();
  for (size_t i = 0; status.ok() && i < *count; ++i) status = ReaderSnapshot::ReadSender(r, *this);
  if (status.ok()) status = r.Finish();
  if (!status.ok())
    return absl::DataLossError(absl::StrCat("stored reader state is damaged: ", status.message()));
  return absl::OkStatus();
}

}  // namespace keystead
