// The EVP_PKEY behind the key types of p256.h. Internal to core/crypto.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "core/crypto/openssl_ptr.h"
#include "core/crypto/p256.h"

namespace keystead::crypto {

struct P256Key {
  PkeyPtr pkey;  // immutable once built, so that threads may share it
};

// INVALID_ARGUMENT unless `point` is uncompressed and valid (EVP_PKEY_public_check).
absl::StatusOr<std::shared_ptr<const P256Key>> ImportPublic(ByteView point);

struct ImportedPrivate {
  std::shared_ptr<const P256Key> key;
  P256Point point;
};
// INVALID_ARGUMENT unless `scalar` has 32 bytes and lies in 1..n-1. Computes the public point.
absl::StatusOr<ImportedPrivate> ImportPrivate(ByteView scalar);
SecretBytes ExportScalar(const P256Key& key);

}  // namespace keystead::crypto
