#include "core/sealing/wrap.h"

#include "core/base/limits.h"
#include "core/cose/cbor.h"
#include "core/cose/hpke_recipient.h"
#include "core/crypto/hkdf.h"

namespace keystead {
namespace {

constexpr std::string_view kPskId = "ks1 wrap";

Bytes WrapAad(const WrapPlace& place, const MemberId& member, WrapKind kind) {
  return cose::EncodeArray("ks1 wrap", place.tenant, place.id, place.epoch, member, WrapKindName(kind),
                           place.parent);
}

cose::HpkePsk PskOf(const SecretBytes* psk) {
  return psk == nullptr ? cose::HpkePsk{} : cose::HpkePsk{psk, AsBytes(kPskId)};
}

}  // namespace

absl::StatusOr<SecretBytes> FirstWrapPsk(const JoinSecret& join, const InstantiationId& id,
                                         const MemberId& member) {
  return crypto::HkdfExpand(join.secret(), cose::EncodeArray("ks1 add", id, member), kSecretBytes);
}

absl::StatusOr<Wrap> SealWrap(const WrapPlace& place, const MemberId& member, const crypto::EcdhPublicKey& to,
                              WrapKind kind, const SecretBytes* first_psk, const SecretBytes& content,
                              RandomSource& random) {
  const Bytes aad = WrapAad(place, member, kind);
  const cose::HpkeRecipientTo recipient{to, {}, PskOf(first_psk)};
  Wrap wrap;
  wrap.member = member;
  wrap.kind = kind;
  wrap.first = first_psk != nullptr;
  KS_ASSIGN_OR_RETURN(wrap.sealed, cose::SealHpkeEncrypt({&recipient, 1}, {.external_aad = aad, .info = aad},
                                                         content.ExposeSecret(), random));
  return wrap;
}

absl::StatusOr<SecretBytes> OpenWrap(const WrapPlace& place, const Wrap& wrap, const crypto::EcdhKeyPair& k,
                                     const SecretBytes* first_psk) {
  const Bytes aad = WrapAad(place, wrap.member, wrap.kind);
  return cose::OpenHpkeEncrypt(wrap.sealed, k, {}, PskOf(first_psk), {.external_aad = aad, .info = aad});
}

SecretBytes EncodeGrants(const std::vector<Grant>& grants) {
  Bytes plain;
  plain.reserve(grants.size() * 160 + 16);  // no growth, so that no unwiped copy is left behind
  cose::CborWriter w(plain);
  w.Array(grants.size());
  for (const Grant& grant : grants) {
    w.Array(3).Text(grant.topic.str());
    cose::EncodeOne(w, grant.sender);
    w.Bstr(grant.key.ExposeSecret());
  }
  SecretBytes out = SecretBytes::CopyOf(plain);
  SecureWipe(plain.data(), plain.size());
  return out;
}

absl::StatusOr<std::vector<Grant>> ParseGrants(const SecretBytes& encoded) {
  cose::CborReader r(encoded.ExposeSecret());
  KS_ASSIGN_OR_RETURN(const size_t count, r.ReadArray());
  std::vector<Grant> grants;
  for (size_t i = 0; i < count; ++i) {
    Grant grant;
    KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
    KS_ASSIGN_OR_RETURN(const std::string_view topic, r.ReadText());
    KS_ASSIGN_OR_RETURN(grant.topic, Topic::Parse(topic));
    KS_ASSIGN_OR_RETURN(const bool whole_topic, r.TryNull());
    if (!whole_topic) {
      KS_ASSIGN_OR_RETURN(grant.sender, r.ReadId<MemberId>());
    }
    KS_ASSIGN_OR_RETURN(const ByteView key, r.ReadBytes(kSecretBytes));
    grant.key = SecretBytes::CopyOf(key);
    grants.push_back(std::move(grant));
  }
  KS_RETURN_IF_ERROR(r.Finish());
  return grants;
}

}  // namespace keystead
