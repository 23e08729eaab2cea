#include "tests/load/retry_info.h"

#include <algorithm>

#include "core/transport/wire.h"

namespace keystead::load {
namespace {

constexpr std::string_view kRetryInfo = "type.googleapis.com/google.rpc.RetryInfo";
constexpr size_t kMaxDetails = 8192;
constexpr uint64_t kMaxSeconds = 3600;
constexpr uint64_t kNanosPerSecond = 1'000'000'000;

struct Field {
  int number = 0;
  std::string_view bytes;  // of wire type 2
  uint64_t varint = 0;     // of wire type 0
};

// The next field of a message; none at its end and for what is malformed or of another wire type.
std::optional<Field> NextField(wire::Reader& in) {
  const std::optional<uint64_t> tag = in.Varint();
  if (!tag || *tag > 0x7fff) return std::nullopt;
  Field out;
  out.number = static_cast<int>(*tag >> 3);
  if ((*tag & 7) == 2) {
    const auto bytes = in.LengthAndBytes(kMaxDetails);
    if (!bytes) return std::nullopt;
    out.bytes = *bytes;
    return out;
  }
  if ((*tag & 7) != 0) return std::nullopt;
  const auto varint = in.Varint();
  if (!varint) return std::nullopt;
  out.varint = *varint;
  return out;
}

// The last field of wire type 2 with this number.
std::string_view BytesOf(std::string_view message, int number) {
  wire::Reader in(message);
  std::string_view out;
  while (const auto field = NextField(in)) {
    if (field->number == number) out = field->bytes;
  }
  return out;
}

absl::Duration DurationOf(std::string_view message) {
  uint64_t seconds = 0;
  uint64_t nanos = 0;
  wire::Reader in(message);
  while (const auto field = NextField(in)) {
    if (field->number == 1) seconds = field->varint;
    if (field->number == 2) nanos = field->varint;
  }
  if (seconds > kMaxSeconds) return absl::Seconds(kMaxSeconds);  // also what is negative
  return absl::Seconds(static_cast<int64_t>(seconds)) +
         absl::Nanoseconds(static_cast<int64_t>(std::min(nanos, kNanosPerSecond - 1)));
}

}  // namespace

std::optional<absl::Duration> RetryDelayOf(std::string_view details) {
  if (details.size() > kMaxDetails) return std::nullopt;
  wire::Reader in(details);
  while (const auto field = NextField(in)) {
    if (field->number == 3 && BytesOf(field->bytes, 1) == kRetryInfo)
      return DurationOf(BytesOf(BytesOf(field->bytes, 2), 1));
  }
  return std::nullopt;
}

}  // namespace keystead::load
