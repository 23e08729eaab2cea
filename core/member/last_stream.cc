#include "core/member/last_stream.h"

#include "core/cose/cbor.h"
#include "core/program/program.h"

namespace keystead {
namespace {

// Tells two runs apart between which the page cache was lost.
const std::string& KernelBoot() {
  static const std::string* const boot = [] {
    absl::StatusOr<std::string> text = ReadFile("/proc/sys/kernel/random/boot_id", 64);
    return new std::string(text.ok() ? *text : "unknown");
  }();
  return *boot;
}

}  // namespace

std::string EncodeLastStream(const PreviousStream& previous, bool synced) {
  return ToString(cose::EncodeArray(previous.stream, previous.end->last_sequence, previous.end->hash,
                                    KernelBoot(), synced));
}

absl::StatusOr<PreviousStream> ParseLastStream(std::string_view row) {
  cose::CborReader r(AsBytes(row));
  PreviousStream previous;
  PreviousStream::End end;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(5));
  KS_ASSIGN_OR_RETURN(previous.stream, r.ReadId<StreamId>());
  KS_ASSIGN_OR_RETURN(end.last_sequence, r.ReadUint());
  KS_ASSIGN_OR_RETURN(end.hash, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(const std::string_view boot, r.ReadText());
  KS_ASSIGN_OR_RETURN(const bool synced, r.ReadBool());
  if (synced || boot == KernelBoot()) previous.end = end;
  return previous;
}

}  // namespace keystead
