// A commit bundle and the body inside it have one encoding each, and none that this input can hold is taken
// by a chain whose owner's key it cannot know.
#include "core/cose/cbor.h"
#include "core/membership/chain.h"
#include "core/membership/signed_object.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace keystead;

void CheckBody(ByteView encoded) {
  const auto body = CommitBody::Parse(encoded);
  if (body.ok()) FUZZ_CHECK(Equal(body->Encode(), encoded));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView input(data, size);
  CheckBody(input);
  const auto bundle = CommitBundle::ParseContent(input);
  if (!bundle.ok()) return 0;
  FUZZ_CHECK(Equal(bundle->EncodeContent(), input));
  if (const auto payload = UnverifiedPayload(bundle->commit); payload.ok()) {
    cose::CborReader r(*payload);
    if (r.ReadArrayOf(2).ok()) {
      if (const auto body = r.ReadBytes(); body.ok()) CheckBody(*body);
    }
  }
  MembershipChain chain(TenantName::Parse("fuzz.keystead.example").value(), InstantiationId());
  FUZZ_CHECK(!chain.Apply(*bundle).ok());
  FUZZ_CHECK(chain.empty());
  return 0;
}
