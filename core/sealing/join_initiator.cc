#include "core/base/limits.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/cose/hpke_recipient.h"
#include "core/crypto/hash.h"
#include "core/membership/acceptance.h"
#include "core/sealing/joining.h"
#include "core/sealing/joining_keys.h"

namespace keystead {

namespace {
constexpr size_t kMaxKindBytes = 32;
}

using namespace joining;  // NOLINT: the folder's own words

absl::StatusOr<Announcement> VerifyAnnouncement(ByteView object, const membership::Label& label) {
  KS_ASSIGN_OR_RETURN(const ByteView claimed, UnverifiedPayload(object));
  cose::CborReader r(claimed);
  Announcement out;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(6));
  KS_ASSIGN_OR_RETURN(const std::string_view device_id, r.ReadText());
  out.device_id = std::string(device_id);
  KS_ASSIGN_OR_RETURN(out.ik, cose::ReadEcdsaKey(r));
  KS_ASSIGN_OR_RETURN(out.k, cose::ReadEcdhKey(r));
  KS_ASSIGN_OR_RETURN(out.reset_counter, r.ReadUint());
  KS_ASSIGN_OR_RETURN(out.arm, r.ReadId<ArmId>());
  KS_ASSIGN_OR_RETURN(const size_t profiles, r.ReadArray());
  bool speaks_ks1 = false;
  for (size_t i = 0; i < profiles; ++i) {
    KS_ASSIGN_OR_RETURN(const std::string_view profile, r.ReadText());
    speaks_ks1 = speaks_ks1 || profile == kProfile;
  }
  KS_RETURN_IF_ERROR(r.Finish());
  if (cose::Ckt(out.ik) != label.ckt || out.device_id != label.device_id) {
    return absl::UnauthenticatedError("announcement is not of the device on the label");
  }
  KS_RETURN_IF_ERROR(VerifyObject(object, out.ik, kinds::kAnnouncement, SignedPlace{}).status());
  if (!speaks_ks1) return absl::UnimplementedError("the device does not speak profile ks1");
  return out;
}

absl::StatusOr<JoinInitiator> JoinInitiator::Start(const membership::Label& label, ByteView announcement,
                                                   const Owner& owner, const MemberId& newcomer, int64_t time,
                                                   RandomSource& random) {
  if (label.tenant != owner.tenant)
    return absl::InvalidArgumentError("the device is of another manufacturer");
  JoinInitiator join;
  KS_ASSIGN_OR_RETURN(join.device_, VerifyAnnouncement(announcement, label));
  join.tenant_ = owner.tenant;
  join.id_ = owner.id;
  join.newcomer_ = newcomer;
  join.owner_ckt_ = cose::Ckt(owner.ik->public_key());
  KS_ASSIGN_OR_RETURN(join.e_a_, crypto::EcdhKeyPair::Generate(random));
  join.s_a_ = random.Secret(kSecretBytes);
  KS_ASSIGN_OR_RETURN(const SecretBytes psk1,
                      DerivePsk1(label.setup_code, join.device_.device_id, join.device_.reset_counter));
  KS_ASSIGN_OR_RETURN(join.psk2_, DerivePsk2(psk1, join.s_a_));
  KS_ASSIGN_OR_RETURN(join.m1_box_, BoxName(psk1, "ks1 box m1"));
  KS_ASSIGN_OR_RETURN(join.m2_box_, BoxName(psk1, "ks1 box m2"));

  Bytes payload;
  payload.reserve(1024);
  cose::CborWriter w(payload);
  w.Array(11).Text(owner.tenant.str()).Bstr(owner.id.view()).Bstr(owner.member.view()).Bstr(newcomer.view());
  cose::EncodeOne(w, owner.ik->public_key());
  cose::EncodeOne(w, owner.k);
  cose::EncodeOne(w, join.e_a_.public_key());
  w.Bstr(join.s_a_.ExposeSecret()).Bstr(label.ckt.view()).Text(kProfile).Int(time);
  absl::StatusOr<Bytes> object = SignObject(*owner.ik, kinds::kM1, PlaceOf(owner.tenant, owner.id), payload);
  SecureWipe(payload.data(), payload.size());
  if (!object.ok()) return object.status();
  const Bytes aad = M1Aad(label.tenant, join.device_.device_id, crypto::Sha256(announcement));
  absl::StatusOr<Bytes> m1 = cose::SealHpkeEncrypt0(join.device_.k, {}, {&psk1, AsBytes(kM1PskId)},
                                                    {.external_aad = aad, .info = aad}, *object);
  SecureWipe(object->data(), object->size());
  if (!m1.ok()) return m1.status();
  if (m1->size() > limits::kMailboxBytes) return absl::InternalError("M1 does not fit into a mailbox");
  join.m1_ = *std::move(m1);
  return join;
}

absl::StatusOr<JoinedMember> JoinInitiator::Finish(ByteView m2) const {
  const Digest m1_hash = crypto::Sha256(m1_);
  const Bytes aad = M2Aad(m1_hash);
  KS_ASSIGN_OR_RETURN(const SecretBytes plain, cose::OpenHpkeEncrypt0(m2, e_a_, {&psk2_, AsBytes(kM2PskId)},
                                                                      {.external_aad = aad, .info = aad}));
  cose::CborReader outer(plain.ExposeSecret());
  KS_RETURN_IF_ERROR(outer.ReadArrayOf(2));
  KS_ASSIGN_OR_RETURN(const ByteView object, outer.ReadBytes());
  KS_ASSIGN_OR_RETURN(const ByteView acceptance_object, outer.ReadBytes());
  KS_RETURN_IF_ERROR(outer.Finish());

  KS_ASSIGN_OR_RETURN(const ByteView payload,
                      VerifyObject(object, device_.ik, kinds::kM2, PlaceOf(tenant_, id_)));
  cose::CborReader r(payload);
  JoinedMember out;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(8));
  KS_ASSIGN_OR_RETURN(const Digest answered, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(const Digest owner, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(const ByteView s_d_bytes, r.ReadBytes(kSecretBytes));
  const SecretBytes s_d = SecretBytes::CopyOf(s_d_bytes);
  KS_ASSIGN_OR_RETURN(out.k, cose::ReadEcdhKey(r));
  KS_ASSIGN_OR_RETURN(out.boot, r.ReadId<BootId>());
  KS_ASSIGN_OR_RETURN(const int64_t uptime_ms, r.ReadInt());
  KS_ASSIGN_OR_RETURN(const std::string_view kind, r.ReadText());
  KS_ASSIGN_OR_RETURN(const std::string_view transport, r.ReadText());
  KS_RETURN_IF_ERROR(r.Finish());
  if (uptime_ms < 0 || kind.size() > kMaxKindBytes) return absl::InvalidArgumentError("M2 is malformed");
  if (answered != m1_hash || owner != owner_ckt_) return absl::UnauthenticatedError("M2 answers another M1");

  KS_ASSIGN_OR_RETURN(const Acceptance acceptance, VerifyAcceptance(acceptance_object, device_.ik));
  if (acceptance.tenant != tenant_ || acceptance.id != id_ || acceptance.owner_ckt != owner_ckt_ ||
      acceptance.m1_hash != m1_hash || acceptance.reset_counter != device_.reset_counter) {
    return absl::UnauthenticatedError("the acceptance in M2 is for something else");
  }
  out.member = newcomer_;
  out.uptime = absl::Milliseconds(uptime_ms);
  out.kind = std::string(kind);
  out.transport = std::string(transport);
  out.ik = device_.ik;
  out.acceptance = ToBytes(acceptance_object);
  out.join = DeriveJoinSecret(m1_, m2, s_a_, s_d);
  return out;
}

}  // namespace keystead
