// The AEADs of RFC 9180, section 7.3, over EVP. Internal to core/crypto and the vector checker: Keystead's
// own objects use Aes256Gcm (aead.h) and nothing else.
#pragma once

#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/crypto/aead.h"

namespace keystead::crypto {

enum class AeadKind { kAes128Gcm, kAes192Gcm, kAes256Gcm, kChaCha20Poly1305 };

size_t AeadKeySize(AeadKind kind);

// One key, kept contexts for sealing and opening; only the nonce is set per call. Not thread-safe.
class EvpAead {
 public:
  // INVALID_ARGUMENT when the key's size does not fit the kind.
  static absl::StatusOr<std::unique_ptr<EvpAead>> Create(AeadKind kind, ByteView key);
  ~EvpAead();

  // As Aes256Gcm::SealInto and OpenInto. INVALID_ARGUMENT for a nonce other than 12 bytes.
  absl::Status Seal(ByteView nonce, ByteView aad, ByteView plaintext, std::span<uint8_t> out);
  absl::Status Open(ByteView nonce, ByteView aad, ByteView sealed, std::span<uint8_t> out);

 private:
  struct Impl;
  explicit EvpAead(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keystead::crypto
