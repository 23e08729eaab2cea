// HKDF-SHA-256 (RFC 5869). Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"

namespace keystead::crypto {

inline constexpr size_t kHashBytes = 32;
inline constexpr size_t kHkdfMaxBytes = 255 * kHashBytes;

// RFC 5869, section 2.2. An empty salt stands for 32 zero bytes. The result has 32 bytes.
SecretBytes HkdfExtract(ByteView salt, ByteView ikm);
inline SecretBytes HkdfExtract(ByteView salt, const SecretBytes& ikm) {
  return HkdfExtract(salt, ikm.ExposeSecret());
}
inline SecretBytes HkdfExtract(const SecretBytes& salt, const SecretBytes& ikm) {
  return HkdfExtract(salt.ExposeSecret(), ikm.ExposeSecret());
}
inline SecretBytes HkdfExtract(std::string_view label, const SecretBytes& ikm) {
  return HkdfExtract(AsBytes(label), ikm.ExposeSecret());
}

// RFC 5869, section 2.3. INVALID_ARGUMENT when length exceeds kHkdfMaxBytes. Any length of prk is taken,
// as RFC 9180 needs; a prk of ours always has 32 bytes.
absl::StatusOr<SecretBytes> HkdfExpand(const SecretBytes& prk, ByteView info, size_t length);
inline absl::StatusOr<SecretBytes> HkdfExpand(const SecretBytes& prk, std::string_view label, size_t length) {
  return HkdfExpand(prk, AsBytes(label), length);
}

}  // namespace keystead::crypto
