// The fixed answers to everything that fails to authenticate: from outside, every such failure looks alike.
#pragma once

#include "absl/status/status.h"

namespace keystead::crypto {

inline constexpr absl::StatusCode kOpenFailedCode = absl::StatusCode::kDataLoss;
inline constexpr absl::StatusCode kBadSignatureCode = absl::StatusCode::kUnauthenticated;

// DATA_LOSS: wrong key, nonce or AAD, or altered bytes. The caller drops the object; a retry cannot help.
inline absl::Status OpenFailed() { return absl::Status(kOpenFailedCode, "sealed object does not open"); }
// UNAUTHENTICATED: this key did not sign these bytes in this place.
inline absl::Status BadSignature() { return absl::Status(kBadSignatureCode, "signature does not verify"); }

}  // namespace keystead::crypto
