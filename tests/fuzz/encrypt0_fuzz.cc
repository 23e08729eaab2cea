// A record has one encoding: what parses is exactly what its parts encode to.
#include "core/cose/cbor.h"
#include "core/cose/encrypt0.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  const ByteView input(data, size);
  const auto view = cose::ParseEncrypt0(input);
  if (!view.ok()) return 0;
  cose::CborWriter w;
  w.Array(3).Bstr(view->protected_bytes).Map(2).Int(4).Bstr(view->kid).Int(6).Bstr(view->partial_iv);
  w.Bstr(view->ciphertext);
  FUZZ_CHECK(Equal(w.bytes(), input));
  FUZZ_CHECK(cose::Encrypt0Size(view->kid.size(), view->sequence,
                                view->ciphertext.size() - crypto::kAeadTagBytes) == size);

  // Sealed anew with the same kid and sequence, it parses to the same again and opens.
  static auto aead = crypto::Aes256Gcm::Create(SecretBytes(crypto::kAeadKeyBytes));
  FUZZ_CHECK(aead.ok());
  const crypto::AeadNonce nonce{};
  Bytes object;
  FUZZ_CHECK(
      cose::AppendEncrypt0(*aead, nonce, view->kid, view->sequence, view->kid, view->ciphertext, object)
          .ok());
  const auto again = cose::ParseEncrypt0(object);
  FUZZ_CHECK(again.ok() && again->sequence == view->sequence && Equal(again->kid, view->kid));
  Bytes opened;
  FUZZ_CHECK(cose::OpenEncrypt0(*aead, nonce, *again, view->kid, opened).ok());
  FUZZ_CHECK(Equal(opened, view->ciphertext));
  return 0;
}
