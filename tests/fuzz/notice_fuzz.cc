// Heads, probes and acceptances: as they come, and as what their signer signed. What is read is encoded again
// alike.
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/membership/acceptance.h"
#include "core/membership/notice.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  const ByteView input(data, size);
  static const auto* const key = [] {
    SeededRandom random(7);
    return new crypto::EcdsaKeyPair(crypto::EcdsaKeyPair::Generate(random).value());
  }();
  SignedPlace place;
  place.tenant = TenantName::Parse("fuzz.keystead.example").value();
  place.id = InstantiationId();
  place.topic = Topic::Keyring();
  place.sender = MemberId();
  place.stream = StreamId();
  place.epoch = 0;
  place.sequence = 1;
  FUZZ_CHECK(!VerifyHead(input, key->public_key(), place).ok());
  FUZZ_CHECK(!VerifyProbe(input, key->public_key(), place).ok());
  FUZZ_CHECK(!VerifyAcceptance(input, key->public_key()).ok());

  const Bytes head = SignObject(*key, kinds::kHead, place, input).value();
  if (const auto h = VerifyHead(head, key->public_key(), place); h.ok())
    FUZZ_CHECK(Equal(cose::EncodeArray(place.id, h->epoch, h->commit_hash, h->hseq, h->time), input));
  const Bytes probe = SignObject(*key, kinds::kProbe, place, input).value();
  if (const auto p = VerifyProbe(probe, key->public_key(), place); p.ok())
    FUZZ_CHECK(Equal(cose::EncodeArray(p->reader, p->nonce), input));
  SignedPlace of_acceptance;
  of_acceptance.tenant = place.tenant;
  of_acceptance.id = place.id;
  const Bytes acceptance = SignObject(*key, kinds::kAcceptance, of_acceptance, input).value();
  if (const auto a = VerifyAcceptance(acceptance, key->public_key()); a.ok()) {
    FUZZ_CHECK(a->device_ckt == cose::Ckt(key->public_key()));
    FUZZ_CHECK(
        Equal(cose::EncodeArray(a->tenant, a->id, a->device_ckt, a->owner_ckt, a->reset_counter, a->m1_hash),
              input));
  }
  return 0;
}
