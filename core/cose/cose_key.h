// COSE_Key of kind EC2 on P-256 (RFC 9052, section 7) and its thumbprint (RFC 9679).
#pragma once

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/cose/cbor.h"
#include "core/crypto/p256.h"

namespace keystead::cose {

// {1: 2, -1: 1, -2: x, -3: y}: the required members only, 77 bytes.
void WriteCoseKey(CborWriter& writer, const crypto::P256Point& point);
Bytes EncodeCoseKey(const crypto::EcdsaPublicKey& key);
Bytes EncodeCoseKey(const crypto::EcdhPublicKey& key);
inline void EncodeOne(CborWriter& w, const crypto::EcdsaPublicKey& key) { WriteCoseKey(w, key.point()); }
inline void EncodeOne(CborWriter& w, const crypto::EcdhPublicKey& key) { WriteCoseKey(w, key.point()); }

// Exactly what Encode writes; INVALID_ARGUMENT for other members, a private part or an invalid point.
absl::StatusOr<crypto::EcdsaPublicKey> ReadEcdsaKey(CborReader& reader);
absl::StatusOr<crypto::EcdhPublicKey> ReadEcdhKey(CborReader& reader);
absl::StatusOr<crypto::EcdsaPublicKey> DecodeEcdsaKey(ByteView encoded);
absl::StatusOr<crypto::EcdhPublicKey> DecodeEcdhKey(ByteView encoded);

// ckt: SHA-256 over the deterministic encoding of the required members (RFC 9679, section 3).
Digest Ckt(const crypto::EcdsaPublicKey& key);
Digest Ckt(const crypto::EcdhPublicKey& key);

}  // namespace keystead::cose
