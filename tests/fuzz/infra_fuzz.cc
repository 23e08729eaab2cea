// What the adversary reads to attack it: it must not fall over either, or a test of an attack would show
// nothing. The first byte picks the parser, the second, where one is needed, the attack's target and how a
// stream comes in pieces.
#include <algorithm>

#include "core/program/key_values.h"
#include "infra-sim/cose_regions.h"
#include "infra-sim/options.h"
#include "infra-sim/tls_attacks.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using keystead::AsChars;
using keystead::ByteView;
namespace infra = keystead::infra;
namespace v1 = keystead::v1;

class Repeating final : public keystead::RandomSource {
 public:
  explicit Repeating(uint8_t start) : next_(start) {}
  void Fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = next_++;
  }

 private:
  uint8_t next_;
};

void CheckInside(const std::optional<infra::Span>& span, std::string_view whole) {
  if (span.has_value()) FUZZ_CHECK(span->begin <= whole.size() && span->size <= whole.size() - span->begin);
}

void CheckRegions(uint8_t how, std::string_view cose) {
  const auto regions = infra::LocateRegions(cose);
  if (regions.has_value()) {
    for (const auto& span : {regions->protected_header, regions->kid, regions->partial_iv, regions->body,
                             regions->ciphertext, regions->tag}) {
      CheckInside(span, cose);
    }
    for (const infra::Span& span : regions->wrappers) CheckInside(span, cose);
  }
  Repeating random(how);
  const auto target = static_cast<v1::AttackTarget>(v1::TARGET_COSE_PROTECTED + how % 5);
  if (const auto changed = infra::ModifyRegion(cose, target, random)) {
    FUZZ_CHECK(*changed != cose);
    if (infra::IsCbor(cose)) FUZZ_CHECK(infra::IsCbor(*changed));
  }
  if (const auto cut = infra::ShortenRegion(cose, target, random)) {
    FUZZ_CHECK(cut->size() < cose.size());
    if (infra::IsCbor(cose)) FUZZ_CHECK(infra::IsCbor(*cut));
  }
}

// However a stream is cut into pieces, the same records come out, and nothing is lost or added.
void CheckTls(uint8_t how, std::string_view stream) {
  infra::TlsRecordSplitter whole;
  infra::TlsRecordSplitter pieces;
  const std::vector<std::string> expected = whole.Feed(stream);
  std::vector<std::string> got;
  const size_t step = 1 + how % 7;
  for (size_t at = 0; at < stream.size(); at += step) {
    for (std::string& record : pieces.Feed(stream.substr(at, step))) got.push_back(std::move(record));
  }
  if (whole.is_tls()) FUZZ_CHECK(pieces.is_tls() && got == expected);
  std::string all;
  for (const std::string& record : got) all += record;
  FUZZ_CHECK(all + pieces.TakeRest() == stream);
}

void CheckOptions(std::string_view text) {
  const auto values = keystead::ParseKeyValues(text, {"name", "listen"}, {"upstream"});
  if (!values.ok()) return;
  FUZZ_CHECK(values->contains("name") && values->contains("listen") && values->size() <= 3);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input = AsChars(ByteView(data + 2, size - 2));
  switch (data[0] % 3) {
    case 0:
      CheckRegions(data[1], input);
      break;
    case 1:
      CheckTls(data[1], input);
      break;
    default:
      CheckOptions(input);
  }
  return 0;
}
