// A label has one encoding, whatever way it was typed. Because the checksum turns nearly every mutation away,
// the input is tried twice: as text, and as the bytes of a label whose checksum is right.
#include "core/membership/label.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using keystead::AsBytes;
using keystead::AsChars;
using keystead::Bytes;
using keystead::ByteView;
using keystead::SecretBytes;
using keystead::ToBytes;
namespace membership = keystead::membership;

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

std::string Normalised(std::string_view typed) {
  std::string out;
  bool prefix = true;
  for (char c : typed) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '-') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (!prefix && (c == 'I' || c == 'L')) c = '1';
    if (!prefix && c == 'O') c = '0';
    prefix = prefix && c != ':';
    out.push_back(c);
  }
  return out;
}

std::string WithChecksum(ByteView body) {
  uint32_t crc = ~0U;
  for (const uint8_t byte : body) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0xEDB88320U : crc >> 1;
  }
  Bytes all = ToBytes(body);
  for (int shift = 24; shift >= 0; shift -= 8) all.push_back(static_cast<uint8_t>(~crc >> shift));
  std::string text = "KS1:";
  for (size_t bit = 0; bit < all.size() * 8; bit += 5) {
    unsigned value = 0;
    for (size_t i = bit; i < bit + 5; ++i) {
      const unsigned one = i / 8 < all.size() ? (all[i / 8] >> (7 - i % 8)) & 1U : 0;
      value = 2 * value + one;
    }
    text.push_back(kAlphabet[value]);
  }
  return text;
}

void CheckText(std::string_view text) {
  const auto label = membership::ParseLabel(AsBytes(text));
  if (!label.ok()) {
    FUZZ_CHECK(label.status().message().size() < 300);
    return;
  }
  const auto again = membership::EncodeLabel(*label);
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(AsChars(again->ExposeSecret()) == Normalised(text));
  const SecretBytes grouped = membership::GroupLabelText(*again);
  FUZZ_CHECK(membership::ParseLabel(grouped.ExposeSecret()).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView input(data, size);
  CheckText(AsChars(input));
  if (size <= 1024) CheckText(WithChecksum(input));
  return 0;
}
