// Keys on P-256 as published vectors write them: SubjectPublicKeyInfo, PKCS #8, PEM and JWK. Strict DER of
// named curves with uncompressed points, which is what Keystead would take; everything else is an error.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/crypto/p256.h"
#include "tests/vectors/json_fields.h"

namespace keystead::vectors {

// "secp256r1" and its other names: true. Another curve: false. No name of a curve: INVALID_ARGUMENT.
absl::StatusOr<bool> IsP256(std::string_view curve);

absl::StatusOr<Bytes> PointFromSpki(ByteView der);                               // RFC 5480, section 2
absl::StatusOr<Bytes> ScalarFromPkcs8(ByteView der);                             // RFC 5958 around RFC 5915
absl::StatusOr<Bytes> DerFromPem(std::string_view pem, std::string_view label);  // RFC 7468
absl::StatusOr<crypto::EcdhPublicKey> PeerFromJwk(const Json& jwk);
absl::StatusOr<Bytes> JwkNumber(const Json& jwk, std::string_view name);  // RFC 7518, section 6.2

}  // namespace keystead::vectors
