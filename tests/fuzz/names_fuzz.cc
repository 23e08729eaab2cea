// Names and other short texts from outside: what is accepted has one spelling. The first byte picks the
// parser.
#include "core/base/topic.h"
#include "core/crypto/p256.h"
#include "core/crypto/p256_der.h"
#include "core/identity/spiffe_id.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using keystead::AsChars;
using keystead::ByteView;

void CheckSpiffeId(std::string_view text) {
  const auto id = keystead::SpiffeId::Parse(text);
  if (!id.ok()) return;
  FUZZ_CHECK(id->str() == text);
  const auto parts = keystead::SpiffeId::Of(id->tenant(), id->role(), id->id());
  FUZZ_CHECK(parts.ok() && *parts == *id);
  const auto exactly = keystead::PeerExpectation::Parse(text);
  FUZZ_CHECK(exactly.ok() && exactly->Matches(*id));
}

void CheckExpectation(std::string_view text) {
  const auto peer = keystead::PeerExpectation::Parse(text);
  if (!peer.ok()) return;
  FUZZ_CHECK(peer->str() == text);
}

void CheckTenant(std::string_view text) {
  const auto tenant = keystead::TenantName::Parse(text);
  if (tenant.ok()) FUZZ_CHECK(tenant->str() == text);
}

void CheckTopic(std::string_view text) {
  const auto topic = keystead::Topic::Parse(text);
  if (topic.ok()) FUZZ_CHECK(topic->str() == text);
}

void CheckSignature(ByteView der) {
  const auto raw = keystead::crypto::SignatureFromDer(der);
  if (!raw.ok()) return;
  const auto again = keystead::crypto::SignatureToDer(*raw);
  FUZZ_CHECK(keystead::Equal(ByteView(again.bytes).first(again.size), der));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      CheckSpiffeId(AsChars(input));
      break;
    case 1:
      CheckExpectation(AsChars(input));
      break;
    case 2:
      CheckTenant(AsChars(input));
      break;
    case 3:
      CheckTopic(AsChars(input));
      break;
    default:
      CheckSignature(input);
  }
  return 0;
}
