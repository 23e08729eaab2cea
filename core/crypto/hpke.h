// HPKE (RFC 9180), modes base and psk, DHKEM(P-256, HKDF-SHA256). Keystead uses HKDF-SHA256 with AES-256-GCM
// only; the other AEADs and KDFs exist for vectors. HPKE hides the plaintext from all but the receiver. Mode
// base does NOT say who sent; mode psk says "someone with the PSK". Neither detects replay of a whole
// message.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/p256.h"

namespace keystead::crypto {

inline constexpr size_t kMinPskBytes = 32;  // RFC 9180, section 9.5
inline constexpr size_t kHpkeEncBytes = kP256PointBytes;
inline constexpr uint16_t kKemP256 = 0x0010;

// RFC 9180, section 7.2: the KDF of the key schedule; that of the KEM is always HKDF-SHA256.
enum class HpkeKdf : uint16_t { kHkdfSha256 = 0x0001, kHkdfSha384 = 0x0002, kHkdfSha512 = 0x0003 };

// RFC 9180, section 7.3.
enum class HpkeAead : uint16_t {
  kAes128Gcm = 0x0001,
  kAes256Gcm = 0x0002,
  kChaCha20Poly1305 = 0x0003,
  kExportOnly = 0xffff,
};

// Views and pointers are read during the call only.
struct HpkeParams {
  ByteView info;
  const SecretBytes* psk = nullptr;  // null: mode base; otherwise mode psk
  ByteView psk_id;                   // not empty exactly when psk is given
  HpkeAead aead = HpkeAead::kAes256Gcm;
  HpkeKdf kdf = HpkeKdf::kHkdfSha256;
  const EcdhKeyPair* ephemeral_for_test = nullptr;  // known answers only: an ephemeral key is used once
};

class HpkeContextImpl;  // internal

// RFC 9180, section 5.2 and 5.3. Each call takes the next sequence number. Move-only, not thread-safe.
class HpkeSenderContext {
 public:
  HpkeSenderContext(HpkeSenderContext&&) noexcept;
  HpkeSenderContext& operator=(HpkeSenderContext&&) noexcept;
  ~HpkeSenderContext();
  const P256Point& enc() const { return enc_; }
  absl::StatusOr<Bytes> Seal(ByteView aad, ByteView plaintext);  // RESOURCE_EXHAUSTED at the message limit
  absl::StatusOr<SecretBytes> Export(ByteView exporter_context, size_t length) const;
  void SetSequenceForTest(uint64_t sequence);

 private:
  friend absl::StatusOr<HpkeSenderContext> HpkeSetupS(const EcdhPublicKey&, const HpkeParams&);
  HpkeSenderContext(const P256Point& enc, std::unique_ptr<HpkeContextImpl> impl);
  P256Point enc_;
  std::unique_ptr<HpkeContextImpl> impl_;
};

class HpkeReceiverContext {
 public:
  HpkeReceiverContext(HpkeReceiverContext&&) noexcept;
  HpkeReceiverContext& operator=(HpkeReceiverContext&&) noexcept;
  ~HpkeReceiverContext();
  // OpenFailed() (DATA_LOSS) leaves the sequence number where it was.
  absl::StatusOr<SecretBytes> Open(ByteView aad, ByteView ciphertext);
  absl::StatusOr<SecretBytes> Export(ByteView exporter_context, size_t length) const;
  void SetSequenceForTest(uint64_t sequence);

 private:
  friend absl::StatusOr<HpkeReceiverContext> HpkeSetupR(ByteView, const EcdhKeyPair&, const HpkeParams&);
  explicit HpkeReceiverContext(std::unique_ptr<HpkeContextImpl> impl);
  std::unique_ptr<HpkeContextImpl> impl_;
};

// RFC 9180, sections 5.1.1 and 5.1.2. INVALID_ARGUMENT: a PSK shorter than kMinPskBytes, a PSK without id or
// an id without PSK, an empty key. HpkeSetupR: DATA_LOSS when `enc` is not a valid point.
absl::StatusOr<HpkeSenderContext> HpkeSetupS(const EcdhPublicKey& receiver, const HpkeParams& params);
absl::StatusOr<HpkeReceiverContext> HpkeSetupR(ByteView enc, const EcdhKeyPair& receiver,
                                               const HpkeParams& params);

// RFC 9180, section 7.1.3. INVALID_ARGUMENT for ikm shorter than 32 bytes.
absl::StatusOr<EcdhKeyPair> HpkeDeriveKeyPair(const SecretBytes& ikm);

}  // namespace keystead::crypto
