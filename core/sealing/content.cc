#include "core/sealing/content.h"

#include "core/cose/cbor.h"

namespace keystead {
namespace {

// Six items: commit hash, boot, uptime in ms, time, hseq, echoes.
void WriteFreshness(cose::CborWriter& w, const Freshness& f) {
  w.Bstr(f.commit_hash.view()).Bstr(f.boot.view());
  w.Uint(static_cast<uint64_t>(absl::ToInt64Milliseconds(f.uptime)));
  cose::EncodeOne(w, f.time);
  w.Uint(f.hseq).Array(f.echoes.size());
  for (const Probe& probe : f.echoes) w.Array(2).Bstr(probe.reader.view()).Bstr(probe.nonce.view());
}

absl::StatusOr<absl::Duration> ReadMilliseconds(cose::CborReader& r) {
  KS_ASSIGN_OR_RETURN(const int64_t ms, r.ReadInt());
  if (ms < 0) return absl::InvalidArgumentError("a duration is negative");
  return absl::Milliseconds(ms);
}

absl::StatusOr<Freshness> ReadFreshness(cose::CborReader& r) {
  Freshness f;
  KS_ASSIGN_OR_RETURN(f.commit_hash, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(f.boot, r.ReadId<BootId>());
  KS_ASSIGN_OR_RETURN(f.uptime, ReadMilliseconds(r));
  KS_ASSIGN_OR_RETURN(const bool no_time, r.TryNull());
  if (!no_time) {
    KS_ASSIGN_OR_RETURN(f.time, r.ReadInt());
  }
  KS_ASSIGN_OR_RETURN(f.hseq, r.ReadUint());
  KS_ASSIGN_OR_RETURN(const size_t echoes, r.ReadArray());
  if (echoes > kMaxEchoedProbes) return absl::InvalidArgumentError("too many echoed probes");
  for (size_t i = 0; i < echoes; ++i) {
    Probe probe;
    KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
    KS_ASSIGN_OR_RETURN(probe.reader, r.ReadId<MemberId>());
    KS_ASSIGN_OR_RETURN(probe.nonce, r.ReadId<ProbeNonce>());
    f.echoes.push_back(probe);
  }
  return f;
}

}  // namespace

Bytes EncodeOpening(const Opening& opening) {
  cose::CborWriter w;
  w.Array(9);
  if (!opening.previous.has_value()) {
    w.Null().Null();
  } else {
    w.Bstr(opening.previous->stream.view());
    if (opening.previous->end.has_value()) {
      w.Array(2).Uint(opening.previous->end->last_sequence).Bstr(opening.previous->end->hash.view());
    } else {
      w.Null();
    }
  }
  WriteFreshness(w, opening.freshness);
  w.Null();  // next_K: later work
  return w.Take();
}

absl::StatusOr<Opening> ParseOpening(ByteView payload) {
  cose::CborReader r(payload);
  Opening opening;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(9));
  KS_ASSIGN_OR_RETURN(const bool first, r.TryNull());
  if (!first) {
    opening.previous.emplace();
    KS_ASSIGN_OR_RETURN(opening.previous->stream, r.ReadId<StreamId>());
  }
  KS_ASSIGN_OR_RETURN(const bool no_end, r.TryNull());
  if (!no_end) {
    if (first) return absl::InvalidArgumentError("opening tells the end of no stream");
    PreviousStream::End end;
    KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
    KS_ASSIGN_OR_RETURN(end.last_sequence, r.ReadUint());
    KS_ASSIGN_OR_RETURN(end.hash, r.ReadId<Digest>());
    opening.previous->end = end;
  }
  KS_ASSIGN_OR_RETURN(opening.freshness, ReadFreshness(r));
  KS_RETURN_IF_ERROR(r.ReadNull());
  KS_RETURN_IF_ERROR(r.Finish());
  return opening;
}

Bytes EncodeCheckpoint(const Checkpoint& checkpoint) {
  cose::CborWriter w;
  w.Array(10).Uint(checkpoint.count).Bstr(checkpoint.hash.view());
  WriteFreshness(w, checkpoint.freshness);
  w.Bool(checkpoint.end);
  w.Null();  // next_K: later work
  return w.Take();
}

absl::StatusOr<Checkpoint> ParseCheckpoint(ByteView payload) {
  cose::CborReader r(payload);
  Checkpoint checkpoint;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(10));
  KS_ASSIGN_OR_RETURN(checkpoint.count, r.ReadUint());
  KS_ASSIGN_OR_RETURN(checkpoint.hash, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(checkpoint.freshness, ReadFreshness(r));
  KS_ASSIGN_OR_RETURN(checkpoint.end, r.ReadBool());
  KS_RETURN_IF_ERROR(r.ReadNull());
  KS_RETURN_IF_ERROR(r.Finish());
  return checkpoint;
}

Bytes EncodeLoss(const Loss& loss) {
  return cose::EncodeArray(loss.stream, loss.first_sequence, loss.last_sequence, loss.reason);
}

absl::StatusOr<Loss> ParseLoss(ByteView payload) {
  cose::CborReader r(payload);
  Loss loss;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(loss.stream, r.ReadId<StreamId>());
  KS_ASSIGN_OR_RETURN(loss.first_sequence, r.ReadUint());
  KS_ASSIGN_OR_RETURN(loss.last_sequence, r.ReadUint());
  KS_ASSIGN_OR_RETURN(const std::string_view reason, r.ReadText());
  KS_RETURN_IF_ERROR(r.Finish());
  if (loss.last_sequence < loss.first_sequence || reason.size() > 64) {
    return absl::InvalidArgumentError("loss report is malformed");
  }
  loss.reason = std::string(reason);
  return loss;
}

}  // namespace keystead
