#include "core/sealing/joining_keys.h"

#include <algorithm>

#include "core/cose/cbor.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"

namespace keystead {
namespace joining {

absl::StatusOr<SecretBytes> DerivePsk1(const SecretBytes& setup_code, std::string_view device_id,
                                       uint64_t counter) {
  const SecretBytes setup = crypto::HkdfExtract("ks1 setup", setup_code);
  return crypto::HkdfExpand(setup, cose::EncodeArray(device_id, counter), kSecretBytes);
}

absl::StatusOr<SecretBytes> DerivePsk2(const SecretBytes& psk1, const SecretBytes& s_a) {
  return crypto::HkdfExpand(crypto::HkdfExtract(psk1, s_a), "ks1 accept", kSecretBytes);
}

absl::StatusOr<MailboxName> BoxName(const SecretBytes& secret, std::string_view label) {
  KS_ASSIGN_OR_RETURN(const SecretBytes name, crypto::HkdfExpand(secret, label, MailboxName::kSize));
  return MailboxName::FromBytes(name.ExposeSecret());
}

JoinSecret DeriveJoinSecret(ByteView m1, ByteView m2, const SecretBytes& s_a, const SecretBytes& s_d) {
  SecretBytes both(s_a.size() + s_d.size());
  std::ranges::copy(s_a.ExposeSecret(), both.MutableSecret().begin());
  std::ranges::copy(s_d.ExposeSecret(), both.MutableSecret().begin() + static_cast<ptrdiff_t>(s_a.size()));
  return JoinSecret(crypto::HkdfExtract(crypto::Sha256({m1, m2}).view(), both.ExposeSecret()));
}

Bytes M1Aad(const TenantName& tenant, std::string_view device_id, const Digest& announcement) {
  return cose::EncodeArray(kM1PskId, tenant, device_id, announcement);
}
Bytes M2Aad(const Digest& m1) { return cose::EncodeArray(kM2PskId, m1); }

SignedPlace PlaceOf(const TenantName& tenant, const InstantiationId& id) {
  SignedPlace place;
  place.tenant = tenant;
  place.id = id;
  return place;
}

}  // namespace joining

absl::StatusOr<MailboxName> AnnouncementBox(const SecretBytes& setup_code) {
  return joining::BoxName(crypto::HkdfExtract("ks1 setup", setup_code), "ks1 box ann");
}

}  // namespace keystead
