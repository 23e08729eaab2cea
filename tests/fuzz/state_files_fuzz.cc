// What programs read back from their own folders, which somebody else may have edited. The first byte picks
// the parser.
#include "core/member/last_stream.h"
#include "core/program/deny_file.h"
#include "mobile-stub/reader_memory.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using keystead::AsChars;
using keystead::ByteView;

void CheckSenderMemory(std::string_view row) {
  const auto memory = keystead::ParseSenderMemory(row);
  if (!memory.ok()) return;
  const std::string once = keystead::EncodeSenderMemory(*memory, /*synced=*/true);
  const auto again = keystead::ParseSenderMemory(once);
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(again->previous.has_value() == memory->previous.has_value());
  FUZZ_CHECK(again->losses.size() == memory->losses.size());
  FUZZ_CHECK(keystead::EncodeSenderMemory(*again, true) == once);
}

void CheckReaderMemory(ByteView encoded) {
  const auto memory = keystead::mobile::ReaderMemory::Parse(encoded);
  if (!memory.ok()) return;
  const keystead::Bytes once = memory->Encode();
  const auto again = keystead::mobile::ReaderMemory::Parse(once);
  FUZZ_CHECK(again.ok() && again->Encode() == once);
}

void CheckDenyList(std::string_view content) {
  const auto tenants =
      keystead::ParseDenyList(content, "deny", keystead::TenantName::Parse("acme.example").value());
  if (!tenants.ok()) {
    FUZZ_CHECK(keystead::Std(tenants.status().message()).starts_with("deny:"));
    return;
  }
  for (const auto& [tenant, entries] : *tenants) {
    for (const std::string& serial : entries.serials) {
      FUZZ_CHECK(!serial.empty() && (serial == "0" || serial[0] != '0'));
      FUZZ_CHECK(serial.find_first_not_of("0123456789abcdef") == std::string::npos);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      CheckSenderMemory(AsChars(input));
      break;
    case 1:
      CheckReaderMemory(input);
      break;
    default:
      CheckDenyList(AsChars(input));
  }
  return 0;
}
