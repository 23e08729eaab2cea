// A device's public consent: "I belong to the owner with this key, in this instantiation". Signed by the
// device inside the joining exchange, shown to the backend beside the commit that adds the device.
// docs/protocol.md, "Joining".
#pragma once

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/crypto/p256.h"

namespace keystead {

struct Acceptance {
  TenantName tenant;
  InstantiationId id;
  Digest device_ckt;  // of IK_D
  Digest owner_ckt;   // of IK_A
  uint64_t reset_counter = 0;
  Digest m1_hash;
};

absl::StatusOr<Bytes> SignAcceptance(const crypto::EcdsaKeyPair& ik, const Acceptance& acceptance);
// INVALID_ARGUMENT or UNAUTHENTICATED; device_ckt must be the thumbprint of `ik`.
absl::StatusOr<Acceptance> VerifyAcceptance(ByteView object, const crypto::EcdsaPublicKey& ik);
// Whose key to verify with. Never act on it.
absl::StatusOr<Digest> UnverifiedDeviceCkt(ByteView object);

}  // namespace keystead
