// What both sides of joining derive alike. Internal to core/sealing. docs/protocol.md, "Joining".
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "core/membership/signed_object.h"
#include "core/sealing/joining.h"

namespace keystead::joining {

inline constexpr std::string_view kM1PskId = "ks1 m1";
inline constexpr std::string_view kM2PskId = "ks1 m2";

// psk1 = Expand(Extract("ks1 setup", setup_code), CBOR[device id, reset_counter], 32).
absl::StatusOr<SecretBytes> DerivePsk1(const SecretBytes& setup_code, std::string_view device_id,
                                       uint64_t counter);
// psk2 = Expand(Extract(psk1, s_A), "ks1 accept", 32).
absl::StatusOr<SecretBytes> DerivePsk2(const SecretBytes& psk1, const SecretBytes& s_a);
// Expand(secret, label, 16).
absl::StatusOr<MailboxName> BoxName(const SecretBytes& secret, std::string_view label);
// J = Extract(SHA-256(M1 || M2), s_A || s_D).
JoinSecret DeriveJoinSecret(ByteView m1, ByteView m2, const SecretBytes& s_a, const SecretBytes& s_d);
// CBOR["ks1 m1", tenant, device id, SHA-256(announcement)] and CBOR["ks1 m2", SHA-256(M1)].
Bytes M1Aad(const TenantName& tenant, std::string_view device_id, const Digest& announcement);
Bytes M2Aad(const Digest& m1);
// M1, M2 and acceptance belong to an instantiation and to no topic.
SignedPlace PlaceOf(const TenantName& tenant, const InstantiationId& id);

}  // namespace keystead::joining
