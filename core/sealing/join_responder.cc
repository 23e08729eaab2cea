#include "core/base/limits.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/cose/hpke_recipient.h"
#include "core/crypto/hash.h"
#include "core/membership/acceptance.h"
#include "core/sealing/joining.h"
#include "core/sealing/joining_keys.h"

namespace keystead {

using namespace joining;  // NOLINT: the folder's own words

namespace {

struct M1Body {
  TenantName tenant;
  InstantiationId id;
  MemberId owner;
  MemberId newcomer;
  crypto::EcdsaPublicKey ik;
  crypto::EcdhPublicKey k;
  crypto::EcdhPublicKey e_a;
  SecretBytes s_a;
};

absl::StatusOr<M1Body> ParseM1(ByteView payload, const Digest& own_ckt) {
  cose::CborReader r(payload);
  M1Body body;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(11));
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, r.ReadText());
  KS_ASSIGN_OR_RETURN(body.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(body.id, r.ReadId<InstantiationId>());
  KS_ASSIGN_OR_RETURN(body.owner, r.ReadId<MemberId>());
  KS_ASSIGN_OR_RETURN(body.newcomer, r.ReadId<MemberId>());
  KS_ASSIGN_OR_RETURN(body.ik, cose::ReadEcdsaKey(r));
  KS_ASSIGN_OR_RETURN(body.k, cose::ReadEcdhKey(r));
  KS_ASSIGN_OR_RETURN(body.e_a, cose::ReadEcdhKey(r));
  KS_ASSIGN_OR_RETURN(const ByteView s_a, r.ReadBytes(kSecretBytes));
  body.s_a = SecretBytes::CopyOf(s_a);
  KS_ASSIGN_OR_RETURN(const Digest device, r.ReadId<Digest>());
  KS_RETURN_IF_ERROR(r.ExpectText(kProfile));
  KS_RETURN_IF_ERROR(r.ReadInt().status());  // time, for people
  KS_RETURN_IF_ERROR(r.Finish());
  if (device != own_ckt) return absl::UnauthenticatedError("M1 is for another device");
  return body;
}

}  // namespace

absl::Status JoinResponder::Arm(const BootId& boot, absl::Duration uptime) {
  if (state_ == State::kOwned)
    return absl::FailedPreconditionError("the device has an owner: reset it first");
  KS_ASSIGN_OR_RETURN(k_d_, crypto::EcdhKeyPair::Generate(*random_));
  cose::CborWriter w;
  w.Array(6).Text(identity_.device_id);
  cose::EncodeOne(w, identity_.ik->public_key());
  cose::EncodeOne(w, k_d_.public_key());
  w.Uint(reset_counter_).Bstr(random_->NewId<ArmId>().view()).Array(1).Text(kProfile);
  KS_ASSIGN_OR_RETURN(announcement_,
                      SignObject(*identity_.ik, kinds::kAnnouncement, SignedPlace{}, w.bytes()));
  armed_boot_ = boot;
  armed_until_ = uptime + kArmedFor;
  tries_ = 0;
  offer_.reset();
  state_ = State::kArmed;
  return absl::OkStatus();
}

absl::StatusOr<MailboxName> JoinResponder::m1_box() const {
  KS_ASSIGN_OR_RETURN(const SecretBytes psk1,
                      DerivePsk1(*identity_.setup_code, identity_.device_id, reset_counter_));
  return BoxName(psk1, "ks1 box m1");
}

absl::StatusOr<MailboxName> JoinResponder::m2_box() const {
  KS_ASSIGN_OR_RETURN(const SecretBytes psk1,
                      DerivePsk1(*identity_.setup_code, identity_.device_id, reset_counter_));
  return BoxName(psk1, "ks1 box m2");
}

void JoinResponder::Disarm() {
  k_d_ = crypto::EcdhKeyPair();
  announcement_.clear();
  offer_.reset();
  state_ = State::kUnowned;
}

absl::StatusOr<Bytes> JoinResponder::HandleM1(ByteView m1, const BootId& boot, absl::Duration uptime) {
  if (state_ == State::kOwned) return absl::FailedPreconditionError("the device has an owner");
  if (k_d_.empty()) return absl::FailedPreconditionError("the device is not armed");
  // An offer that nobody took up is over after a day, its secrets with it.
  if (DropOldOffer(boot, uptime)) {
    return absl::FailedPreconditionError("the offer is over: arm the device again");
  }
  if (offer_.has_value() && offer_->m1_hash == crypto::Sha256(m1)) return offer_->m2;
  // Uptime counts within one boot only; after another boot a local act is needed again.
  if (boot != armed_boot_ || uptime > armed_until_) {
    if (!offer_.has_value()) Disarm();
    return absl::FailedPreconditionError("the device is not armed any more");
  }
  if (tries_ >= limits::kMailboxTries) return absl::ResourceExhaustedError("too many tries for one arming");
  ++tries_;
  if (m1.size() > limits::kMailboxBytes) return absl::InvalidArgumentError("M1 is too long");
  return Answer(m1, boot, uptime);
}

absl::StatusOr<Bytes> JoinResponder::Answer(ByteView m1, const BootId& boot, absl::Duration uptime) {
  KS_ASSIGN_OR_RETURN(const SecretBytes psk1,
                      DerivePsk1(*identity_.setup_code, identity_.device_id, reset_counter_));
  const Bytes aad = M1Aad(identity_.tenant, identity_.device_id, crypto::Sha256(announcement_));
  KS_ASSIGN_OR_RETURN(const SecretBytes plain, cose::OpenHpkeEncrypt0(m1, k_d_, {&psk1, AsBytes(kM1PskId)},
                                                                      {.external_aad = aad, .info = aad}));
  const Digest own_ckt = cose::Ckt(identity_.ik->public_key());
  KS_ASSIGN_OR_RETURN(const ByteView claimed, UnverifiedPayload(plain.ExposeSecret()));
  KS_ASSIGN_OR_RETURN(M1Body body, ParseM1(claimed, own_ckt));
  KS_RETURN_IF_ERROR(
      VerifyObject(plain.ExposeSecret(), body.ik, kinds::kM1, PlaceOf(body.tenant, body.id)).status());
  if (body.tenant != identity_.tenant) return absl::UnauthenticatedError("M1 is of another tenant");
  if (offer_.has_value() && !(offer_->owner_ik == body.ik)) {
    Disarm();
    return absl::AbortedError("contested: two owners hold this label; both were refused");
  }

  Offer offer;
  KS_ASSIGN_OR_RETURN(offer.k, crypto::EcdhKeyPair::Generate(*random_));
  const SecretBytes s_d = random_->Secret(kSecretBytes);
  offer.m1_hash = crypto::Sha256(m1);
  const Digest owner_ckt = cose::Ckt(body.ik);
  Bytes payload;
  payload.reserve(512);
  cose::CborWriter w(payload);
  w.Array(8).Bstr(offer.m1_hash.view()).Bstr(owner_ckt.view()).Bstr(s_d.ExposeSecret());
  cose::EncodeOne(w, offer.k.public_key());
  w.Bstr(boot.view()).Uint(static_cast<uint64_t>(absl::ToInt64Milliseconds(uptime)));
  w.Text(identity_.kind).Text(identity_.transport);
  KS_ASSIGN_OR_RETURN(Bytes object,
                      SignObject(*identity_.ik, kinds::kM2, PlaceOf(body.tenant, body.id), payload));
  SecureWipe(payload.data(), payload.size());
  KS_ASSIGN_OR_RETURN(const Bytes acceptance,
                      SignAcceptance(*identity_.ik, {body.tenant, body.id, own_ckt, owner_ckt, reset_counter_,
                                                     offer.m1_hash}));
  Bytes both = cose::EncodeArray(object, acceptance);
  SecureWipe(object.data(), object.size());
  KS_ASSIGN_OR_RETURN(const SecretBytes psk2, DerivePsk2(psk1, body.s_a));
  const Bytes m2_aad = M2Aad(offer.m1_hash);
  absl::StatusOr<Bytes> m2 = cose::SealHpkeEncrypt0(body.e_a, {}, {&psk2, AsBytes(kM2PskId)},
                                                    {.external_aad = m2_aad, .info = m2_aad}, both);
  SecureWipe(both.data(), both.size());
  if (!m2.ok()) return m2.status();
  offer.m2 = *std::move(m2);
  offer.join = DeriveJoinSecret(m1, offer.m2, body.s_a, s_d);
  offer.id = body.id;
  offer.self = body.newcomer;
  offer.owner = body.owner;
  offer.owner_ik = body.ik;
  offer.until_uptime = uptime + kOfferedFor;
  offer.boot = boot;
  offer_ = std::move(offer);
  state_ = State::kOffered;
  return offer_->m2;
}

bool JoinResponder::OfferStands(const BootId& boot, absl::Duration uptime) const {
  if (!offer_.has_value()) return false;
  return uptime <= (boot == offer_->boot ? offer_->until_uptime : kOfferedFor);
}

bool JoinResponder::DropOldOffer(const BootId& boot, absl::Duration uptime) {
  if (!offer_.has_value() || OfferStands(boot, uptime)) return false;
  Disarm();
  return true;
}

absl::Status JoinResponder::BecomeOwned() {
  if (state_ != State::kOffered) return absl::FailedPreconditionError("nothing was offered to this device");
  Disarm();
  state_ = State::kOwned;
  return absl::OkStatus();
}

void JoinResponder::Reset() {
  Disarm();
  ++reset_counter_;
}

SecretBytes JoinResponder::Serialize() const {
  Bytes plain;
  plain.reserve(4096 + announcement_.size() + (offer_.has_value() ? offer_->m2.size() : 0));
  cose::CborWriter w(plain);
  w.Array(7).Uint(static_cast<uint64_t>(state_)).Uint(reset_counter_).Bstr(armed_boot_.view());
  w.Uint(static_cast<uint64_t>(absl::ToInt64Milliseconds(armed_until_)));
  w.Bstr(k_d_.empty() ? ByteView() : k_d_.ExportPrivateScalar().ExposeSecret()).Bstr(announcement_);
  if (!offer_.has_value()) {
    w.Null();
  } else {
    const Offer& o = *offer_;
    w.Array(10).Bstr(o.id.view()).Bstr(o.self.view()).Bstr(o.owner.view());
    cose::EncodeOne(w, o.owner_ik);
    w.Bstr(o.k.ExportPrivateScalar().ExposeSecret())
        .Bstr(o.join.secret().ExposeSecret())
        .Bstr(o.m1_hash.view());
    w.Bstr(o.m2).Uint(static_cast<uint64_t>(absl::ToInt64Milliseconds(o.until_uptime))).Bstr(o.boot.view());
  }
  SecretBytes out = SecretBytes::CopyOf(plain);
  SecureWipe(plain.data(), plain.size());
  return out;
}

absl::Status JoinResponder::Restore(const SecretBytes& encoded) {
  cose::CborReader r(encoded.ExposeSecret());
  KS_RETURN_IF_ERROR(r.ReadArrayOf(7));
  KS_ASSIGN_OR_RETURN(const uint64_t state, r.ReadUint());
  if (state > static_cast<uint64_t>(State::kOwned))
    return absl::DataLossError("stored joining state is damaged");
  KS_ASSIGN_OR_RETURN(reset_counter_, r.ReadUint());
  KS_ASSIGN_OR_RETURN(armed_boot_, r.ReadId<BootId>());
  KS_ASSIGN_OR_RETURN(const int64_t armed_until, r.ReadInt());
  if (armed_until < 0) return absl::DataLossError("stored joining state is damaged");
  armed_until_ = absl::Milliseconds(armed_until);
  KS_ASSIGN_OR_RETURN(const ByteView k_d, r.ReadBytes());
  k_d_ = crypto::EcdhKeyPair();
  if (!k_d.empty()) {
    KS_ASSIGN_OR_RETURN(k_d_, crypto::EcdhKeyPair::FromPrivateScalar(SecretBytes::CopyOf(k_d)));
  }
  KS_ASSIGN_OR_RETURN(const ByteView announcement, r.ReadBytes());
  announcement_ = ToBytes(announcement);
  KS_ASSIGN_OR_RETURN(const bool no_offer, r.TryNull());
  offer_.reset();
  if (!no_offer) {
    Offer o;
    KS_RETURN_IF_ERROR(r.ReadArrayOf(10));
    KS_ASSIGN_OR_RETURN(o.id, r.ReadId<InstantiationId>());
    KS_ASSIGN_OR_RETURN(o.self, r.ReadId<MemberId>());
    KS_ASSIGN_OR_RETURN(o.owner, r.ReadId<MemberId>());
    KS_ASSIGN_OR_RETURN(o.owner_ik, cose::ReadEcdsaKey(r));
    KS_ASSIGN_OR_RETURN(const ByteView k, r.ReadBytes(kSecretBytes));
    KS_ASSIGN_OR_RETURN(o.k, crypto::EcdhKeyPair::FromPrivateScalar(SecretBytes::CopyOf(k)));
    KS_ASSIGN_OR_RETURN(const ByteView join, r.ReadBytes(kSecretBytes));
    o.join = JoinSecret(SecretBytes::CopyOf(join));
    KS_ASSIGN_OR_RETURN(o.m1_hash, r.ReadId<Digest>());
    KS_ASSIGN_OR_RETURN(const ByteView m2, r.ReadBytes());
    o.m2 = ToBytes(m2);
    KS_ASSIGN_OR_RETURN(const int64_t until, r.ReadInt());
    if (until < 0) return absl::DataLossError("stored joining state is damaged");
    o.until_uptime = absl::Milliseconds(until);
    KS_ASSIGN_OR_RETURN(o.boot, r.ReadId<BootId>());
    offer_ = std::move(o);
  }
  KS_RETURN_IF_ERROR(r.Finish());
  state_ = static_cast<State>(state);
  return absl::OkStatus();
}

}  // namespace keystead
