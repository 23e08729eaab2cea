// Keys on P-256: ECDSA with SHA-256 (FIPS 186-5) and ECDH (SP 800-56A). Signing and agreement keys have their
// own types, so that one cannot be used as the other. Handles are shared and immutable: copies are cheap and
// every const call is thread-safe.
#pragma once

#include <array>
#include <memory>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/random.h"
#include "core/base/secret_bytes.h"

namespace keystead::crypto {

struct P256Key;  // p256_key.h, internal: an EVP_PKEY

inline constexpr size_t kP256ScalarBytes = 32;
inline constexpr size_t kP256CoordinateBytes = 32;
inline constexpr size_t kP256PointBytes = 65;  // 0x04 ‖ x ‖ y (SEC 1, section 2.3.3)
inline constexpr size_t kSignatureBytes = 64;  // r ‖ s, big-endian (RFC 9053, section 2.1)
using P256Point = std::array<uint8_t, kP256PointBytes>;
using Signature = std::array<uint8_t, kSignatureBytes>;

// A validated point: on the curve, not infinity (SP 800-56A, 5.6.2.3.3). Checked once, when made.
// A default-constructed key is empty and refuses every use. Equal when the points are.
template <class Tag>
class P256PublicKey {
 public:
  P256PublicKey() = default;
  // INVALID_ARGUMENT unless a valid point in the uncompressed form, or two coordinates of 32 bytes.
  static absl::StatusOr<P256PublicKey> FromPoint(ByteView uncompressed);
  static absl::StatusOr<P256PublicKey> FromXy(ByteView x, ByteView y);

  bool empty() const { return key_ == nullptr; }
  const P256Point& point() const { return point_; }
  ByteView x() const { return ByteView(point_).subspan(1, kP256CoordinateBytes); }
  ByteView y() const { return ByteView(point_).subspan(1 + kP256CoordinateBytes); }
  bool operator==(const P256PublicKey& other) const { return point_ == other.point_; }
  const P256Key* key() const { return key_.get(); }  // for core/crypto

 private:
  std::shared_ptr<const P256Key> key_;
  P256Point point_{};
};

class EcdsaPublicKey : public P256PublicKey<EcdsaPublicKey> {
 public:
  EcdsaPublicKey() = default;
  static absl::StatusOr<EcdsaPublicKey> FromPoint(ByteView uncompressed);
  static absl::StatusOr<EcdsaPublicKey> FromXy(ByteView x, ByteView y);
  // OK only if `signature` is r ‖ s of exactly 64 bytes over SHA-256(message); otherwise BadSignature().
  // Both s and n - s verify, as everywhere in ECDSA: a signature is not a unique name of a message.
  absl::Status Verify(ByteView message, ByteView signature) const;

 private:
  explicit EcdsaPublicKey(P256PublicKey base) : P256PublicKey(std::move(base)) {}
};

class EcdhPublicKey : public P256PublicKey<EcdhPublicKey> {
 public:
  EcdhPublicKey() = default;
  static absl::StatusOr<EcdhPublicKey> FromPoint(ByteView uncompressed);
  static absl::StatusOr<EcdhPublicKey> FromXy(ByteView x, ByteView y);

 private:
  explicit EcdhPublicKey(P256PublicKey base) : P256PublicKey(std::move(base)) {}
};

// Move-only. A default-constructed pair is empty and refuses every use.
class EcdsaKeyPair {
 public:
  EcdsaKeyPair() = default;
  static absl::StatusOr<EcdsaKeyPair> Generate(RandomSource& random = RandomSource::System());
  static absl::StatusOr<EcdsaKeyPair> FromPrivateScalar(const SecretBytes& scalar);  // INVALID_ARGUMENT
  EcdsaKeyPair(EcdsaKeyPair&&) noexcept = default;
  EcdsaKeyPair& operator=(EcdsaKeyPair&&) noexcept = default;

  bool empty() const { return key_ == nullptr; }
  const EcdsaPublicKey& public_key() const { return public_; }
  SecretBytes ExportPrivateScalar() const;  // 32 bytes, for storage and Clone
  EcdsaKeyPair Clone() const;
  absl::StatusOr<Signature> Sign(ByteView message) const;  // SHA-256 inside; randomised

 private:
  std::shared_ptr<const P256Key> key_;
  EcdsaPublicKey public_;
};

class EcdhKeyPair {
 public:
  EcdhKeyPair() = default;
  static absl::StatusOr<EcdhKeyPair> Generate(RandomSource& random = RandomSource::System());
  static absl::StatusOr<EcdhKeyPair> FromPrivateScalar(const SecretBytes& scalar);  // INVALID_ARGUMENT
  EcdhKeyPair(EcdhKeyPair&&) noexcept = default;
  EcdhKeyPair& operator=(EcdhKeyPair&&) noexcept = default;

  bool empty() const { return key_ == nullptr; }
  const EcdhPublicKey& public_key() const { return public_; }
  SecretBytes ExportPrivateScalar() const;
  EcdhKeyPair Clone() const;
  absl::StatusOr<SecretBytes> Agree(const EcdhPublicKey& peer) const;  // x coordinate, 32 bytes

 private:
  std::shared_ptr<const P256Key> key_;
  EcdhPublicKey public_;
};

// Strict DER (X.690) SEQUENCE { r, s } as X.509 and Wycheproof carry it. INVALID_ARGUMENT for anything that
// is not the one encoding of two integers in 0..2^256-1.
absl::StatusOr<Signature> SignatureFromDer(ByteView der);

}  // namespace keystead::crypto
