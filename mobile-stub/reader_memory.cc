#include "mobile-stub/reader_memory.h"

#include "core/cose/cbor.h"

namespace keystead::mobile {
namespace {

constexpr size_t kMaxItems = size_t{1} << 24;

cose::CborReader ReaderOf(ByteView encoded) {
  return cose::CborReader(encoded, {.max_depth = limits::kMaxCborDepth, .max_items = kMaxItems});
}

}  // namespace

Bytes ReaderMemory::Encode() const {
  cose::CborWriter w;
  w.Array(4).Uint(generation).Bstr(snapshot);
  w.Array(positions.size());
  for (const auto& [topic, at] : positions) w.Array(3).Text(topic.str()).Bstr(at.log.view()).Uint(at.next);
  w.Array(alarms.size());
  for (const auto& [kind, count] : alarms) w.Array(2).Text(kind).Uint(count);
  return w.Take();
}

absl::StatusOr<ReaderMemory> ReaderMemory::Parse(ByteView encoded) {
  cose::CborReader r = ReaderOf(encoded);
  ReaderMemory out;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(out.generation, r.ReadUint());
  KS_ASSIGN_OR_RETURN(const ByteView snapshot, r.ReadBytes());
  out.snapshot = ToBytes(snapshot);
  KS_ASSIGN_OR_RETURN(const size_t positions, r.ReadArray());
  for (size_t i = 0; i < positions; ++i) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
    KS_ASSIGN_OR_RETURN(const std::string_view text, r.ReadText());
    KS_ASSIGN_OR_RETURN(const Topic topic, Topic::Parse(text));
    Position at;
    KS_ASSIGN_OR_RETURN(at.log, r.ReadId<LogId>());
    KS_ASSIGN_OR_RETURN(at.next, r.ReadUint());
    out.positions[topic] = at;
  }
  KS_ASSIGN_OR_RETURN(const size_t alarms, r.ReadArray());
  for (size_t i = 0; i < alarms; ++i) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
    KS_ASSIGN_OR_RETURN(const std::string_view kind, r.ReadText());
    KS_ASSIGN_OR_RETURN(out.alarms[std::string(kind)], r.ReadUint());
  }
  KS_RETURN_IF_ERROR(r.Finish());
  return out;
}

}  // namespace keystead::mobile
