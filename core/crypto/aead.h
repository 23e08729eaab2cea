// AES-256-GCM with 96-bit nonces and 128-bit tags (NIST SP 800-38D; RFC 5116, section 5.2).
// Guarantees confidentiality and integrity of plaintext and AAD towards holders of the key. Does NOT detect
// replay or reordering and does not say which holder sealed. A nonce must never repeat under one key: the
// caller sees to that.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"

namespace keystead::crypto {

class EvpAead;  // evp_aead.h, internal

inline constexpr size_t kAeadKeyBytes = 32;
inline constexpr size_t kAeadNonceBytes = 12;
inline constexpr size_t kAeadTagBytes = 16;
using AeadNonce = std::array<uint8_t, kAeadNonceBytes>;

// Holds the key inside kept cipher contexts, so that a call sets only the nonce. Move-only, not thread-safe.
class Aes256Gcm {
 public:
  static absl::StatusOr<Aes256Gcm> Create(const SecretBytes& key);  // INVALID_ARGUMENT unless 32 bytes
  Aes256Gcm(Aes256Gcm&&) noexcept;
  Aes256Gcm& operator=(Aes256Gcm&&) noexcept;
  ~Aes256Gcm();

  // Writes ciphertext ‖ tag into `out`, whose size must be plaintext.size() + kAeadTagBytes
  // (INVALID_ARGUMENT). `out` may begin where `plaintext` begins; any other overlap is not allowed.
  absl::Status SealInto(const AeadNonce& nonce, ByteView aad, ByteView plaintext, std::span<uint8_t> out);
  // Appends ciphertext ‖ tag; `out` keeps what it held. `plaintext` must not view `out`.
  absl::Status SealAppend(const AeadNonce& nonce, ByteView aad, ByteView plaintext, Bytes& out);
  absl::Status SealAppend(const AeadNonce& nonce, ByteView aad, ByteView plaintext, std::string& out);

  // `sealed` is ciphertext ‖ tag; `out` must have sealed.size() - kAeadTagBytes. OpenFailed() (DATA_LOSS) for
  // every failure of authentication, also when `sealed` is shorter than a tag; `out` is then wiped.
  absl::Status OpenInto(const AeadNonce& nonce, ByteView aad, ByteView sealed, std::span<uint8_t> out);
  // Appends the plaintext; on failure `out` is as before.
  absl::Status OpenAppend(const AeadNonce& nonce, ByteView aad, ByteView sealed, Bytes& out);
  absl::Status OpenAppend(const AeadNonce& nonce, ByteView aad, ByteView sealed, std::string& out);
  absl::StatusOr<SecretBytes> OpenSecret(const AeadNonce& nonce, ByteView aad, ByteView sealed);

 private:
  explicit Aes256Gcm(std::unique_ptr<EvpAead> impl);
  std::unique_ptr<EvpAead> impl_;
};

}  // namespace keystead::crypto
