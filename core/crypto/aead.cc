#include "core/crypto/aead.h"

#include <utility>

#include "core/base/status.h"
#include "core/crypto/errors.h"
#include "core/crypto/evp_aead.h"

namespace keystead::crypto {
namespace {

template <class Buffer>
std::span<uint8_t> Tail(Buffer& out, size_t from) {
  return {reinterpret_cast<uint8_t*>(out.data()) + from, out.size() - from};
}

template <class Buffer>
absl::Status SealToEnd(EvpAead& aead, const AeadNonce& nonce, ByteView aad, ByteView plaintext, Buffer& out) {
  const size_t before = out.size();
  out.resize(before + plaintext.size() + kAeadTagBytes);
  absl::Status status = aead.Seal(nonce, aad, plaintext, Tail(out, before));
  if (!status.ok()) out.resize(before);
  return status;
}

template <class Buffer>
absl::Status OpenToEnd(EvpAead& aead, const AeadNonce& nonce, ByteView aad, ByteView sealed, Buffer& out) {
  if (sealed.size() < kAeadTagBytes) return OpenFailed();
  const size_t before = out.size();
  out.resize(before + sealed.size() - kAeadTagBytes);
  absl::Status status = aead.Open(nonce, aad, sealed, Tail(out, before));
  if (!status.ok()) out.resize(before);
  return status;
}

}  // namespace

Aes256Gcm::Aes256Gcm(std::unique_ptr<EvpAead> impl) : impl_(std::move(impl)) {}
Aes256Gcm::Aes256Gcm(Aes256Gcm&&) noexcept = default;
Aes256Gcm& Aes256Gcm::operator=(Aes256Gcm&&) noexcept = default;
Aes256Gcm::~Aes256Gcm() = default;

absl::StatusOr<Aes256Gcm> Aes256Gcm::Create(const SecretBytes& key) {
  KS_ASSIGN_OR_RETURN(auto impl, EvpAead::Create(AeadKind::kAes256Gcm, key.ExposeSecret()));
  return Aes256Gcm(std::move(impl));
}

absl::Status Aes256Gcm::SealInto(const AeadNonce& nonce, ByteView aad, ByteView plaintext,
                                 std::span<uint8_t> out) {
  return impl_->Seal(nonce, aad, plaintext, out);
}
absl::Status Aes256Gcm::SealAppend(const AeadNonce& nonce, ByteView aad, ByteView plaintext, Bytes& out) {
  return SealToEnd(*impl_, nonce, aad, plaintext, out);
}
absl::Status Aes256Gcm::SealAppend(const AeadNonce& nonce, ByteView aad, ByteView plaintext,
                                   std::string& out) {
  return SealToEnd(*impl_, nonce, aad, plaintext, out);
}

absl::Status Aes256Gcm::OpenInto(const AeadNonce& nonce, ByteView aad, ByteView sealed,
                                 std::span<uint8_t> out) {
  return impl_->Open(nonce, aad, sealed, out);
}
absl::Status Aes256Gcm::OpenAppend(const AeadNonce& nonce, ByteView aad, ByteView sealed, Bytes& out) {
  return OpenToEnd(*impl_, nonce, aad, sealed, out);
}
absl::Status Aes256Gcm::OpenAppend(const AeadNonce& nonce, ByteView aad, ByteView sealed, std::string& out) {
  return OpenToEnd(*impl_, nonce, aad, sealed, out);
}

absl::StatusOr<SecretBytes> Aes256Gcm::OpenSecret(const AeadNonce& nonce, ByteView aad, ByteView sealed) {
  if (sealed.size() < kAeadTagBytes) return OpenFailed();
  SecretBytes out(sealed.size() - kAeadTagBytes);
  KS_RETURN_IF_ERROR(impl_->Open(nonce, aad, sealed, out.MutableSecret()));
  return out;
}

}  // namespace keystead::crypto
