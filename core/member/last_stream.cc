#include "core/member/last_stream.h"

#include "core/cose/cbor.h"
#include "core/program/files.h"

namespace keystead {
namespace {

constexpr size_t kMaxStoredLosses = 4096;

// Tells two runs apart between which the page cache was lost.
const std::string& KernelBoot() {
  static const std::string* const boot = [] {
    absl::StatusOr<std::string> text = ReadFile("/proc/sys/kernel/random/boot_id", 64);
    return new std::string(text.ok() ? *text : "");
  }();
  return *boot;
}

absl::StatusOr<PreviousStream> ReadPrevious(cose::CborReader& r) {
  PreviousStream previous;
  PreviousStream::End end;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
  KS_ASSIGN_OR_RETURN(previous.stream, r.ReadId<StreamId>());
  KS_ASSIGN_OR_RETURN(const bool unknown, r.TryNull());
  if (unknown) return previous;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(end.last_sequence, r.ReadUint());
  KS_ASSIGN_OR_RETURN(end.hash, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(const std::string_view boot, r.ReadText());
  KS_ASSIGN_OR_RETURN(const bool synced, r.ReadBool());
  // A kernel that does not tell its boots apart could have lost power at any time.
  if (synced || (!boot.empty() && boot == KernelBoot())) previous.end = end;
  return previous;
}

}  // namespace

std::string EncodeSenderMemory(const SenderMemory& memory, bool synced) {
  cose::CborWriter w;
  w.Array(2);
  if (memory.previous.has_value()) {
    w.Array(2).Bstr(memory.previous->stream.view());
    if (const auto& end = memory.previous->end; end.has_value()) {
      w.Array(4).Uint(end->last_sequence).Bstr(end->hash.view()).Text(KernelBoot());
      cose::EncodeOne(w, synced);
    } else {
      w.Null();
    }
  } else {
    w.Null();
  }
  w.Array(memory.losses.size());
  for (const Loss& loss : memory.losses) {
    w.Array(4).Bstr(loss.stream.view()).Uint(loss.first_sequence).Uint(loss.last_sequence).Text(loss.reason);
  }
  return ToString(w.Take());
}

absl::StatusOr<SenderMemory> ParseSenderMemory(std::string_view row) {
  cose::CborReader r(AsBytes(row));
  SenderMemory memory;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
  KS_ASSIGN_OR_RETURN(const bool none, r.TryNull());
  if (!none) {
    KS_ASSIGN_OR_RETURN(memory.previous, ReadPrevious(r));
  }
  KS_ASSIGN_OR_RETURN(const size_t losses, r.ReadArray());
  if (losses > kMaxStoredLosses) return absl::InvalidArgumentError("more losses than a sender remembers");
  for (size_t i = 0; i < losses; ++i) {
    Loss loss;
    KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
    KS_ASSIGN_OR_RETURN(loss.stream, r.ReadId<StreamId>());
    KS_ASSIGN_OR_RETURN(loss.first_sequence, r.ReadUint());
    KS_ASSIGN_OR_RETURN(loss.last_sequence, r.ReadUint());
    KS_ASSIGN_OR_RETURN(const std::string_view reason, r.ReadText());
    loss.reason = std::string(reason);
    memory.losses.push_back(std::move(loss));
  }
  KS_RETURN_IF_ERROR(r.Finish());
  return memory;
}

}  // namespace keystead
