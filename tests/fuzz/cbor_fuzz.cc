// Deterministic CBOR has one encoding per item: what the strict decoder takes, the encoder writes back byte
// for byte. The item-skipping reader and the tree must agree on what is valid.
#include "core/cose/cbor.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead::cose;
  const keystead::ByteView input(data, size);
  const auto tree = ParseCbor(input);
  CborReader reader(input);
  const bool skipped = reader.ReadItem().ok() && reader.Finish().ok();
  FUZZ_CHECK(skipped == tree.ok());
  if (tree.ok()) FUZZ_CHECK(keystead::Equal(EncodeCbor(*tree), input));

  const auto lenient = ParseCbor(input, {.lenient = true});
  if (tree.ok()) FUZZ_CHECK(lenient.ok());
  if (lenient.ok()) FUZZ_CHECK(ParseCbor(EncodeCbor(*lenient), {.lenient = true}).ok());
  return 0;
}
