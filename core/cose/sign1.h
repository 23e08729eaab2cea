// COSE_Sign1 with ES256 (RFC 9052, section 4.2).
//   [ << {1: -7, 16: "ks1/<kind>"} >>, {}, payload, r ‖ s ]              untagged; docs/cose.md, "Sign1"
// Says that the holder of the key signed this payload as this type in this place (external AAD). Does NOT
// detect replay, and the signature's bytes are not unique: name objects by the hash of what was received.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/crypto/p256.h"

namespace keystead::cose {

inline constexpr size_t kMaxTypBytes = 64;

// Views into the object parsed.
struct Sign1View {
  ByteView protected_bytes;  // as received
  std::string_view typ;
  ByteView payload;
  ByteView signature;  // 64 bytes
};

// INVALID_ARGUMENT for anything but the shape above; alg -9 (ESP256) is read as well as -7.
absl::StatusOr<Sign1View> ParseSign1(ByteView object);

// UNAUTHENTICATED (crypto::BadSignature) when typ, key, payload, external AAD or signature do not fit.
absl::Status VerifySign1(const Sign1View& object, const crypto::EcdsaPublicKey& key, std::string_view typ,
                         ByteView external_aad);
// Parse and verify; the payload is a view into `object`.
absl::StatusOr<ByteView> OpenSign1(ByteView object, const crypto::EcdsaPublicKey& key, std::string_view typ,
                                   ByteView external_aad);
absl::StatusOr<Bytes> SignSign1(const crypto::EcdsaKeyPair& key, std::string_view typ, ByteView payload,
                                ByteView external_aad);

// Sig_structure (RFC 9052, section 4.4) for context "Signature1"; a protected h'a0' counts as h''.
Bytes SigStructure(ByteView protected_bytes, ByteView external_aad, ByteView payload);

}  // namespace keystead::cose
