// Every message of joining, as it comes and as what stands inside the seals: the first byte of the input says
// which.
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/cose/hpke_recipient.h"
#include "core/crypto/hash.h"
#include "core/membership/commit.h"
#include "core/sealing/joining.h"
#include "core/sealing/joining_keys.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace keystead;

// An owner and a device whose keys the target knows, so that it can seal the input into either message.
struct Pair {
  SeededRandom random{5};
  TenantName tenant = TenantName::Parse("fuzz.keystead.example").value();
  crypto::EcdsaKeyPair ik_d = crypto::EcdsaKeyPair::Generate(random).value();
  crypto::EcdsaKeyPair ik_a = crypto::EcdsaKeyPair::Generate(random).value();
  crypto::EcdhKeyPair k_a = crypto::EcdhKeyPair::Generate(random).value();
  crypto::EcdhKeyPair k_d = crypto::EcdhKeyPair::Generate(random).value();
  SecretBytes code = random.Secret(32);
  Digest nonce = random.NewId<Digest>();
  Digest ckt_a = cose::Ckt(ik_a.public_key());
  InstantiationId id = DeriveInstantiationId(tenant, ckt_a, nonce);
  BootId boot = random.NewId<BootId>();
  SecretBytes psk1 = joining::DerivePsk1(code, "bulb", 0).value();

  membership::Label Label() const { return {tenant, "bulb", cose::Ckt(ik_d.public_key()), code.Clone()}; }
  JoinResponder::Identity Device() {
    return {tenant, "bulb", "lightbulb", "spiffe://x/device/bulb", &ik_d, &code};
  }
  Bytes Announcement() {
    cose::CborWriter w;
    w.Array(6).Text("bulb");
    cose::EncodeOne(w, ik_d.public_key());
    cose::EncodeOne(w, k_d.public_key());
    w.Uint(0).Bstr(ArmId().view()).Array(1).Text("ks1");
    return SignObject(ik_d, kinds::kAnnouncement, SignedPlace{}, w.bytes()).value();
  }
};

Pair& Us() {
  static Pair* const pair = new Pair;
  return *pair;
}

// The announcement of a device that is armed, and `payload` signed by the owner and sealed to it.
void TryM1Payload(ByteView payload) {
  Pair& p = Us();
  JoinResponder device(p.Device(), p.random);
  FUZZ_CHECK(device.Arm(p.boot, absl::Seconds(1)).ok());
  const Announcement announcement = VerifyAnnouncement(device.announcement(), p.Label()).value();
  const Bytes object = SignObject(p.ik_a, kinds::kM1, joining::PlaceOf(p.tenant, p.id), payload).value();
  const Bytes aad = joining::M1Aad(p.tenant, "bulb", crypto::Sha256(device.announcement()));
  const Bytes m1 = cose::SealHpkeEncrypt0(announcement.k, {}, {&p.psk1, AsBytes(joining::kM1PskId)},
                                          {.external_aad = aad, .info = aad}, object)
                       .value();
  const auto m2 = device.HandleM1(m1, p.boot, absl::Seconds(2));
  FUZZ_CHECK(m2.ok() == (device.state() == JoinResponder::State::kOffered));
}

// `payload` signed by the device and sealed as its answer to a genuine M1. Without a genuine acceptance
// beside it nothing comes of it.
void TryM2Payload(ByteView payload) {
  Pair& p = Us();
  const Bytes announcement = p.Announcement();
  const JoinInitiator app =
      JoinInitiator::Start(p.Label(), announcement, {p.tenant, p.id, MemberId(), &p.ik_a, p.k_a.public_key()},
                           MemberId(), 0, p.random)
          .value();
  const Bytes aad1 = joining::M1Aad(p.tenant, "bulb", crypto::Sha256(announcement));
  const SecretBytes plain = cose::OpenHpkeEncrypt0(app.m1(), p.k_d, {&p.psk1, AsBytes(joining::kM1PskId)},
                                                   {.external_aad = aad1, .info = aad1})
                                .value();
  cose::CborReader r(UnverifiedPayload(plain.ExposeSecret()).value());
  FUZZ_CHECK(r.ReadArrayOf(11).ok());
  for (int i = 0; i < 6; ++i) FUZZ_CHECK(r.ReadItem().ok());
  const crypto::EcdhPublicKey e_a = cose::ReadEcdhKey(r).value();
  const SecretBytes psk2 = joining::DerivePsk2(p.psk1, SecretBytes::CopyOf(r.ReadBytes(32).value())).value();
  const Bytes object = SignObject(p.ik_d, kinds::kM2, joining::PlaceOf(p.tenant, p.id), payload).value();
  const Bytes aad2 = joining::M2Aad(crypto::Sha256(app.m1()));
  for (const Bytes& inside : {cose::EncodeArray(object, payload), ToBytes(payload)}) {
    const Bytes m2 = cose::SealHpkeEncrypt0(e_a, {}, {&psk2, AsBytes(joining::kM2PskId)},
                                            {.external_aad = aad2, .info = aad2}, inside)
                         .value();
    FUZZ_CHECK(!app.Finish(m2).ok());
  }
}

void TryAnnouncementPayload(ByteView payload) {
  Pair& p = Us();
  const Bytes object = SignObject(p.ik_d, kinds::kAnnouncement, SignedPlace{}, payload).value();
  const auto read = VerifyAnnouncement(object, p.Label());
  if (read.ok()) FUZZ_CHECK(read->device_id == "bulb" && read->ik == p.ik_d.public_key());
}

void TryRaw(ByteView input) {
  Pair& p = Us();
  VerifyAnnouncement(input, p.Label()).IgnoreError();
  JoinResponder device(p.Device(), p.random);
  FUZZ_CHECK(device.Arm(p.boot, absl::Seconds(1)).ok());
  FUZZ_CHECK(!device.HandleM1(input, p.boot, absl::Seconds(2)).ok());
  JoinResponder restored(p.Device(), p.random);
  if (restored.Restore(SecretBytes::CopyOf(input)).ok())
    FUZZ_CHECK(Equal(restored.Serialize().ExposeSecret(), input));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 2048) return 0;
  const ByteView rest = ByteView(data, size).subspan(1);
  switch (data[0] % 4) {
    case 0:
      TryRaw(rest);
      break;
    case 1:
      TryAnnouncementPayload(rest);
      break;
    case 2:
      TryM1Payload(rest);
      break;
    default:
      TryM2Payload(rest);
  }
  return 0;
}
