#include "core/crypto/p256.h"

#include <algorithm>
#include <utility>

#include "core/base/status.h"
#include "core/crypto/errors.h"
#include "core/crypto/evp_hash.h"
#include "core/crypto/hash.h"
#include "core/crypto/p256_der.h"
#include "core/crypto/p256_key.h"

namespace keystead::crypto {
namespace {

absl::Status EmptyKey() { return absl::InvalidArgumentError("no key"); }

// A random scalar is out of range once in 2^32 draws; more than a few misses mean a broken source.
template <class Pair>
absl::StatusOr<Pair> GeneratePair(RandomSource& random) {
  for (int i = 0; i < 8; ++i) {
    auto pair = Pair::FromPrivateScalar(random.Secret(kP256ScalarBytes));
    if (pair.ok() || !absl::IsInvalidArgument(pair.status())) return pair;
  }
  return absl::InternalError("the random source gives no P-256 scalar");
}

}  // namespace

template <class Tag>
absl::StatusOr<P256PublicKey<Tag>> P256PublicKey<Tag>::FromPoint(ByteView uncompressed) {
  P256PublicKey out;
  KS_ASSIGN_OR_RETURN(out.key_, ImportPublic(uncompressed));
  std::copy(uncompressed.begin(), uncompressed.end(), out.point_.begin());
  return out;
}

template <class Tag>
absl::StatusOr<P256PublicKey<Tag>> P256PublicKey<Tag>::FromXy(ByteView x, ByteView y) {
  if (x.size() != kP256CoordinateBytes || y.size() != kP256CoordinateBytes) {
    return absl::InvalidArgumentError("a P-256 coordinate has 32 bytes");
  }
  P256Point point{0x04};
  std::copy(x.begin(), x.end(), point.begin() + 1);
  std::copy(y.begin(), y.end(), point.begin() + 1 + kP256CoordinateBytes);
  return FromPoint(point);
}

template class P256PublicKey<EcdsaPublicKey>;
template class P256PublicKey<EcdhPublicKey>;

absl::StatusOr<EcdsaPublicKey> EcdsaPublicKey::FromPoint(ByteView uncompressed) {
  KS_ASSIGN_OR_RETURN(auto base, P256PublicKey::FromPoint(uncompressed));
  return EcdsaPublicKey(std::move(base));
}
absl::StatusOr<EcdsaPublicKey> EcdsaPublicKey::FromXy(ByteView x, ByteView y) {
  KS_ASSIGN_OR_RETURN(auto base, P256PublicKey::FromXy(x, y));
  return EcdsaPublicKey(std::move(base));
}
absl::StatusOr<EcdhPublicKey> EcdhPublicKey::FromPoint(ByteView uncompressed) {
  KS_ASSIGN_OR_RETURN(auto base, P256PublicKey::FromPoint(uncompressed));
  return EcdhPublicKey(std::move(base));
}
absl::StatusOr<EcdhPublicKey> EcdhPublicKey::FromXy(ByteView x, ByteView y) {
  KS_ASSIGN_OR_RETURN(auto base, P256PublicKey::FromXy(x, y));
  return EcdhPublicKey(std::move(base));
}

absl::Status EcdsaPublicKey::Verify(ByteView message, ByteView signature) const {
  return EvpVerify(*this, Sha256(message).view(), signature);
}

absl::Status EvpVerify(const EcdsaPublicKey& key, ByteView digest, ByteView signature) {
  if (key.empty() || signature.size() != kSignatureBytes) return BadSignature();
  const DerSignature der = SignatureToDer(signature.first<kSignatureBytes>());
  ERR_clear_error();
  const PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, key.key()->pkey.get(), nullptr));
  if (ctx == nullptr || EVP_PKEY_verify_init(ctx.get()) != 1)
    return OpenSslFailure("ECDSA verify set-up failed");
  if (EVP_PKEY_verify(ctx.get(), der.bytes.data(), der.size, digest.data(), digest.size()) != 1) {
    ERR_clear_error();
    return BadSignature();
  }
  return absl::OkStatus();
}

absl::StatusOr<EcdsaKeyPair> EcdsaKeyPair::Generate(RandomSource& random) {
  return GeneratePair<EcdsaKeyPair>(random);
}

absl::StatusOr<EcdsaKeyPair> EcdsaKeyPair::FromPrivateScalar(const SecretBytes& scalar) {
  KS_ASSIGN_OR_RETURN(ImportedPrivate key, ImportPrivate(scalar.ExposeSecret()));
  EcdsaKeyPair out;
  KS_ASSIGN_OR_RETURN(out.public_, EcdsaPublicKey::FromPoint(key.point));
  out.key_ = std::move(key.key);
  return out;
}

SecretBytes EcdsaKeyPair::ExportPrivateScalar() const {
  return empty() ? SecretBytes() : ExportScalar(*key_);
}

EcdsaKeyPair EcdsaKeyPair::Clone() const {
  EcdsaKeyPair out;
  out.key_ = key_;
  out.public_ = public_;
  return out;
}

absl::StatusOr<Signature> EcdsaKeyPair::Sign(ByteView message) const {
  if (empty()) return EmptyKey();
  const Digest digest = Sha256(message);
  ERR_clear_error();
  const PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, key_->pkey.get(), nullptr));
  DerSignature der;
  der.size = der.bytes.size();
  if (ctx == nullptr || EVP_PKEY_sign_init(ctx.get()) != 1 ||
      EVP_PKEY_sign(ctx.get(), der.bytes.data(), &der.size, digest.view().data(), Digest::kSize) != 1) {
    return OpenSslFailure("ECDSA sign failed");
  }
  return SignatureFromDer(ByteView(der.bytes).first(der.size));
}

absl::StatusOr<EcdhKeyPair> EcdhKeyPair::Generate(RandomSource& random) {
  return GeneratePair<EcdhKeyPair>(random);
}

absl::StatusOr<EcdhKeyPair> EcdhKeyPair::FromPrivateScalar(const SecretBytes& scalar) {
  KS_ASSIGN_OR_RETURN(ImportedPrivate key, ImportPrivate(scalar.ExposeSecret()));
  EcdhKeyPair out;
  KS_ASSIGN_OR_RETURN(out.public_, EcdhPublicKey::FromPoint(key.point));
  out.key_ = std::move(key.key);
  return out;
}

SecretBytes EcdhKeyPair::ExportPrivateScalar() const { return empty() ? SecretBytes() : ExportScalar(*key_); }

EcdhKeyPair EcdhKeyPair::Clone() const {
  EcdhKeyPair out;
  out.key_ = key_;
  out.public_ = public_;
  return out;
}

absl::StatusOr<SecretBytes> EcdhKeyPair::Agree(const EcdhPublicKey& peer) const {
  if (empty() || peer.empty()) return EmptyKey();
  ERR_clear_error();
  const PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_pkey(nullptr, key_->pkey.get(), nullptr));
  SecretBytes out(kP256CoordinateBytes);
  size_t size = out.size();
  // The peer's point was validated when it was imported; a second check would double the cost.
  if (ctx == nullptr || EVP_PKEY_derive_init(ctx.get()) != 1 ||
      EVP_PKEY_derive_set_peer_ex(ctx.get(), peer.key()->pkey.get(), 0) != 1 ||
      EVP_PKEY_derive(ctx.get(), out.MutableSecret().data(), &size) != 1 || size != kP256CoordinateBytes) {
    return OpenSslFailure("ECDH failed");
  }
  return out;
}

}  // namespace keystead::crypto
