// Messages sealed to other keys never open; what parses is deterministic CBOR from end to end.
#include "core/cose/cbor.h"
#include "core/cose/hpke_recipient.h"
#include "core/crypto/errors.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  const ByteView input(data, size);
  static const auto key = [] {
    SeededRandom random(9);
    return crypto::EcdhKeyPair::Generate(random);
  }();
  FUZZ_CHECK(key.ok());
  const auto encrypt0 = cose::ParseHpkeEncrypt0(input);
  const auto encrypt = cose::ParseHpkeEncrypt(input);
  FUZZ_CHECK(!(encrypt0.ok() && encrypt.ok()));
  if (encrypt0.ok() || encrypt.ok()) {
    const auto tree = cose::ParseCbor(input);
    FUZZ_CHECK(tree.ok() && Equal(cose::EncodeCbor(*tree), input));
  }
  if (encrypt0.ok()) {
    const auto opened = cose::OpenHpkeEncrypt0(input, *key, {}, {});
    FUZZ_CHECK(opened.status().code() == crypto::kOpenFailedCode);
  }
  if (encrypt.ok()) {
    const auto opened = cose::OpenHpkeEncrypt(input, *key, {}, {}, {});
    FUZZ_CHECK(opened.status().code() == crypto::kOpenFailedCode);
  }
  return 0;
}
