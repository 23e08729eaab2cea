// A COSE_Key has one encoding.
#include "core/cose/cose_key.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  const ByteView input(data, size);
  const auto key = cose::DecodeEcdsaKey(input);
  FUZZ_CHECK(key.ok() == cose::DecodeEcdhKey(input).ok());
  if (key.ok()) FUZZ_CHECK(Equal(cose::EncodeCoseKey(*key), input));
  return 0;
}
