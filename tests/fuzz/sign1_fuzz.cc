// A signed object has one encoding; what parses was not signed by a key the input cannot know, unless it is
// the corpus's own.
#include "core/cose/cbor.h"
#include "core/cose/sign1.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  const ByteView input(data, size);
  const auto view = cose::ParseSign1(input);
  if (!view.ok()) return 0;
  cose::CborWriter w;
  w.Array(4).Bstr(view->protected_bytes).Map(0).Bstr(view->payload).Bstr(view->signature);
  FUZZ_CHECK(Equal(w.bytes(), input));

  static const auto key = [] {
    SeededRandom random(7);
    return crypto::EcdsaKeyPair::Generate(random);
  }();
  FUZZ_CHECK(key.ok());
  FUZZ_CHECK(!cose::VerifySign1(*view, key->public_key(), view->typ, {}).ok());
  const auto again = cose::SignSign1(*key, view->typ, view->payload, {});
  FUZZ_CHECK(again.ok());
  const auto payload = cose::OpenSign1(*again, key->public_key(), view->typ, {});
  FUZZ_CHECK(payload.ok() && Equal(*payload, view->payload));
  return 0;
}
