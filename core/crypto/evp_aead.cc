#include "core/crypto/evp_aead.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/status.h"
#include "core/crypto/errors.h"
#include "core/crypto/openssl_ptr.h"

namespace keystead::crypto {
namespace {

// Fetched once for the life of the process: an implicit fetch costs more than sealing a reading.
const EVP_CIPHER* Cipher(AeadKind kind) {
  static const std::array<const EVP_CIPHER*, 4> ciphers = {
      EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr), EVP_CIPHER_fetch(nullptr, "AES-192-GCM", nullptr),
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr),
      EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr)};
  return ciphers[static_cast<size_t>(kind)];
}

}  // namespace

size_t AeadKeySize(AeadKind kind) {
  switch (kind) {
    case AeadKind::kAes128Gcm:
      return 16;
    case AeadKind::kAes192Gcm:
      return 24;
    case AeadKind::kAes256Gcm:
    case AeadKind::kChaCha20Poly1305:
      return 32;
  }
  return 0;
}

struct EvpAead::Impl {
  CipherCtxPtr seal;
  CipherCtxPtr open;
};

EvpAead::EvpAead(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EvpAead::~EvpAead() = default;

absl::StatusOr<std::unique_ptr<EvpAead>> EvpAead::Create(AeadKind kind, ByteView key) {
  if (key.size() != AeadKeySize(kind)) return absl::InvalidArgumentError("AEAD key has the wrong size");
  ERR_clear_error();
  const EVP_CIPHER* const cipher = Cipher(kind);
  auto impl = std::make_unique<Impl>();
  impl->seal.reset(EVP_CIPHER_CTX_new());
  impl->open.reset(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || impl->seal == nullptr || impl->open == nullptr ||
      EVP_EncryptInit_ex2(impl->seal.get(), cipher, key.data(), nullptr, nullptr) != 1 ||
      EVP_DecryptInit_ex2(impl->open.get(), cipher, key.data(), nullptr, nullptr) != 1) {
    return OpenSslFailure("AEAD could not be set up");
  }
  return std::unique_ptr<EvpAead>(new EvpAead(std::move(impl)));
}

absl::Status EvpAead::Seal(ByteView nonce, ByteView aad, ByteView plaintext, std::span<uint8_t> out) {
  int aad_size = 0;
  int size = 0;
  if (nonce.size() != kAeadNonceBytes) return absl::InvalidArgumentError("AEAD nonce has the wrong size");
  if (!CheckedInt(aad.size(), aad_size) || !CheckedInt(plaintext.size(), size) ||
      out.size() != plaintext.size() + kAeadTagBytes) {
    return absl::InvalidArgumentError("AEAD input or output has the wrong size");
  }
  EVP_CIPHER_CTX* const ctx = impl_->seal.get();
  ERR_clear_error();
  int written = 0;
  int last = 0;
  if (EVP_EncryptInit_ex2(ctx, nullptr, nullptr, nonce.data(), nullptr) != 1 ||
      (aad_size > 0 && EVP_EncryptUpdate(ctx, nullptr, &written, aad.data(), aad_size) != 1)) {
    return OpenSslFailure("AEAD seal failed");
  }
  written = 0;
  if ((size > 0 && EVP_EncryptUpdate(ctx, out.data(), &written, plaintext.data(), size) != 1) ||
      EVP_EncryptFinal_ex(ctx, out.data() + written, &last) != 1 || written + last != size ||
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kAeadTagBytes), out.data() + size) !=
          1) {
    return OpenSslFailure("AEAD seal failed");
  }
  return absl::OkStatus();
}

absl::Status EvpAead::Open(ByteView nonce, ByteView aad, ByteView sealed, std::span<uint8_t> out) {
  if (nonce.size() != kAeadNonceBytes) return absl::InvalidArgumentError("AEAD nonce has the wrong size");
  if (sealed.size() < kAeadTagBytes) return OpenFailed();
  int aad_size = 0;
  int size = 0;
  if (!CheckedInt(aad.size(), aad_size) || !CheckedInt(sealed.size() - kAeadTagBytes, size) ||
      out.size() != sealed.size() - kAeadTagBytes) {
    return absl::InvalidArgumentError("AEAD input or output has the wrong size");
  }
  std::array<uint8_t, kAeadTagBytes> tag;  // OpenSSL wants it writable
  std::copy(sealed.end() - kAeadTagBytes, sealed.end(), tag.begin());
  EVP_CIPHER_CTX* const ctx = impl_->open.get();
  ERR_clear_error();
  int written = 0;
  int last = 0;
  if (EVP_DecryptInit_ex2(ctx, nullptr, nullptr, nonce.data(), nullptr) != 1 ||
      (aad_size > 0 && EVP_DecryptUpdate(ctx, nullptr, &written, aad.data(), aad_size) != 1)) {
    return OpenSslFailure("AEAD open failed");
  }
  written = 0;
  uint8_t nothing = 0;  // OpenSSL takes a null output as "this is AAD"
  uint8_t* const to = size > 0 ? out.data() : &nothing;
  if ((size > 0 && EVP_DecryptUpdate(ctx, to, &written, sealed.data(), size) != 1) ||
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()), tag.data()) != 1 ||
      EVP_DecryptFinal_ex(ctx, to + written, &last) != 1 || written + last != size) {
    ERR_clear_error();
    SecureWipe(out.data(), out.size());  // unauthenticated plaintext never leaves
    return OpenFailed();
  }
  return absl::OkStatus();
}

}  // namespace keystead::crypto
