// Hashes other than SHA-256 over EVP, and HMAC, HKDF and ECDSA with them. Internal to core/crypto and the
// vector checker: Keystead's own objects use SHA-256 (hash.h, hkdf.h) and nothing else. Thread-safe.
#pragma once

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/p256.h"

namespace keystead::crypto {

// `name` is OpenSSL's: "SHA1", "SHA384", "SHA3-256", … NOT_FOUND when OpenSSL has none of that name.
// `xof_bytes` is the length of a SHAKE's output and 0 for every other hash.
absl::StatusOr<Bytes> EvpHash(const char* name, ByteView data, size_t xof_bytes = 0);
absl::StatusOr<SecretBytes> EvpHmac(const char* name, ByteView key, ByteView data);  // RFC 2104

// RFC 5869, sections 2.2 and 2.3. INVALID_ARGUMENT for more than 255 hashes of output.
absl::StatusOr<SecretBytes> EvpHkdfExtract(const char* name, ByteView salt, ByteView ikm);
absl::StatusOr<SecretBytes> EvpHkdfExpand(const char* name, const SecretBytes& prk, ByteView info,
                                          size_t length);

// As EcdsaPublicKey::Verify, over a digest of any hash (FIPS 186-5, section 6.4.2: its leftmost 256 bits). In
// p256.cc.
absl::Status EvpVerify(const EcdsaPublicKey& key, ByteView digest, ByteView signature);

}  // namespace keystead::crypto
