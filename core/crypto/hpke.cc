#include "core/crypto/hpke.h"

#include <algorithm>
#include <utility>

#include "core/base/status.h"
#include "core/crypto/errors.h"
#include "core/crypto/evp_aead.h"
#include "core/crypto/evp_hash.h"
#include "core/crypto/hkdf.h"

namespace keystead::crypto {

namespace {

// What LabeledExtract and LabeledExpand depend on (RFC 9180, section 4).
struct Suite {
  Bytes id;
  HpkeKdf kdf = HpkeKdf::kHkdfSha256;
};

}  // namespace

// What RFC 9180, section 5, calls the context: key, base_nonce, seq, exporter_secret.
class HpkeContextImpl {
 public:
  std::unique_ptr<EvpAead> aead;  // null: export only
  AeadNonce base_nonce{};
  uint64_t sequence = 0;
  SecretBytes exporter_secret;
  Suite suite;

  absl::StatusOr<AeadNonce> Nonce() const {
    if (aead == nullptr) return absl::FailedPreconditionError("HPKE context is for export only");
    if (sequence == UINT64_MAX) return absl::ResourceExhaustedError("HPKE message limit reached");
    AeadNonce nonce = base_nonce;
    for (size_t i = 0; i < 8; ++i) nonce[11 - i] ^= static_cast<uint8_t>(sequence >> (8 * i));
    return nonce;
  }
};

namespace {

constexpr uint8_t kModeBase = 0x00;
constexpr uint8_t kModePsk = 0x01;
constexpr std::string_view kVersion = "HPKE-v1";

void AppendU16(uint16_t value, Bytes& out) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

Suite KemSuite() {
  Suite out{.id = ToBytes(std::string_view("KEM"))};
  AppendU16(kKemP256, out.id);
  return out;
}

Suite HpkeSuite(HpkeKdf kdf, HpkeAead aead) {
  Suite out{.id = ToBytes(std::string_view("HPKE")), .kdf = kdf};
  AppendU16(kKemP256, out.id);
  AppendU16(static_cast<uint16_t>(kdf), out.id);
  AppendU16(static_cast<uint16_t>(aead), out.id);
  return out;
}

const char* HashName(HpkeKdf kdf) { return kdf == HpkeKdf::kHkdfSha384 ? "SHA384" : "SHA512"; }

size_t ExtractedBytes(HpkeKdf kdf) {  // Nh
  return kdf == HpkeKdf::kHkdfSha512 ? 64 : kdf == HpkeKdf::kHkdfSha384 ? 48 : kHashBytes;
}

absl::StatusOr<SecretBytes> LabeledExtract(const Suite& suite, ByteView salt, std::string_view label,
                                           ByteView ikm) {
  SecretBytes labeled(kVersion.size() + suite.id.size() + label.size() + ikm.size());
  auto to = labeled.MutableSecret().begin();
  to = std::copy(kVersion.begin(), kVersion.end(), to);
  to = std::copy(suite.id.begin(), suite.id.end(), to);
  to = std::copy(label.begin(), label.end(), to);
  std::copy(ikm.begin(), ikm.end(), to);
  if (suite.kdf == HpkeKdf::kHkdfSha256) return HkdfExtract(salt, labeled.ExposeSecret());
  return EvpHkdfExtract(HashName(suite.kdf), salt, labeled.ExposeSecret());
}

absl::StatusOr<SecretBytes> LabeledExpand(const Suite& suite, const SecretBytes& prk, std::string_view label,
                                          ByteView info, size_t length) {
  if (length > UINT16_MAX) return absl::InvalidArgumentError("HPKE output too long");
  Bytes labeled;
  AppendU16(static_cast<uint16_t>(length), labeled);
  Append(labeled, AsBytes(kVersion));
  Append(labeled, suite.id);
  Append(labeled, AsBytes(label));
  Append(labeled, info);
  if (suite.kdf == HpkeKdf::kHkdfSha256) return HkdfExpand(prk, ByteView(labeled), length);
  return EvpHkdfExpand(HashName(suite.kdf), prk, labeled, length);
}

// RFC 9180, section 4.1: ExtractAndExpand(dh, enc ‖ pkRm).
absl::StatusOr<SecretBytes> SharedSecret(const SecretBytes& dh, ByteView enc, ByteView receiver_point) {
  const Suite suite = KemSuite();
  KS_ASSIGN_OR_RETURN(const SecretBytes eae_prk, LabeledExtract(suite, {}, "eae_prk", dh.ExposeSecret()));
  Bytes kem_context = ToBytes(enc);
  Append(kem_context, receiver_point);
  return LabeledExpand(suite, eae_prk, "shared_secret", kem_context, kHashBytes);
}

absl::Status CheckParams(const HpkeParams& params) {
  if ((params.psk != nullptr) == params.psk_id.empty()) {
    return absl::InvalidArgumentError("HPKE needs PSK and PSK id together");
  }
  if (params.psk != nullptr && params.psk->size() < kMinPskBytes) {
    return absl::InvalidArgumentError("HPKE PSK is shorter than 32 bytes");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<EvpAead>> MakeAead(HpkeAead aead, const Suite& suite,
                                                  const SecretBytes& secret, ByteView schedule) {
  AeadKind kind = AeadKind::kAes256Gcm;
  if (aead == HpkeAead::kExportOnly) return nullptr;
  if (aead == HpkeAead::kAes128Gcm) kind = AeadKind::kAes128Gcm;
  if (aead == HpkeAead::kChaCha20Poly1305) kind = AeadKind::kChaCha20Poly1305;
  KS_ASSIGN_OR_RETURN(const SecretBytes key,
                      LabeledExpand(suite, secret, "key", schedule, AeadKeySize(kind)));
  return EvpAead::Create(kind, key.ExposeSecret());
}

// RFC 9180, section 5.1.
absl::StatusOr<std::unique_ptr<HpkeContextImpl>> KeySchedule(const SecretBytes& shared_secret,
                                                             const HpkeParams& params) {
  auto context = std::make_unique<HpkeContextImpl>();
  context->suite = HpkeSuite(params.kdf, params.aead);
  const Suite& suite = context->suite;
  const SecretBytes no_psk;
  const SecretBytes& psk = params.psk != nullptr ? *params.psk : no_psk;
  KS_ASSIGN_OR_RETURN(const SecretBytes psk_id_hash, LabeledExtract(suite, {}, "psk_id_hash", params.psk_id));
  KS_ASSIGN_OR_RETURN(const SecretBytes info_hash, LabeledExtract(suite, {}, "info_hash", params.info));
  Bytes schedule{params.psk != nullptr ? kModePsk : kModeBase};
  Append(schedule, psk_id_hash.ExposeSecret());
  Append(schedule, info_hash.ExposeSecret());
  KS_ASSIGN_OR_RETURN(const SecretBytes secret,
                      LabeledExtract(suite, shared_secret.ExposeSecret(), "secret", psk.ExposeSecret()));
  KS_ASSIGN_OR_RETURN(context->aead, MakeAead(params.aead, suite, secret, schedule));
  if (context->aead != nullptr) {
    KS_ASSIGN_OR_RETURN(const SecretBytes nonce,
                        LabeledExpand(suite, secret, "base_nonce", schedule, kAeadNonceBytes));
    std::copy(nonce.ExposeSecret().begin(), nonce.ExposeSecret().end(), context->base_nonce.begin());
  }
  KS_ASSIGN_OR_RETURN(context->exporter_secret,
                      LabeledExpand(suite, secret, "exp", schedule, ExtractedBytes(params.kdf)));
  return context;
}

absl::StatusOr<SecretBytes> ExportFrom(const HpkeContextImpl& context, ByteView exporter_context,
                                       size_t length) {
  return LabeledExpand(context.suite, context.exporter_secret, "sec", exporter_context, length);
}

}  // namespace

HpkeSenderContext::HpkeSenderContext(const P256Point& enc, std::unique_ptr<HpkeContextImpl> impl)
    : enc_(enc), impl_(std::move(impl)) {}
HpkeSenderContext::HpkeSenderContext(HpkeSenderContext&&) noexcept = default;
HpkeSenderContext& HpkeSenderContext::operator=(HpkeSenderContext&&) noexcept = default;
HpkeSenderContext::~HpkeSenderContext() = default;

absl::StatusOr<Bytes> HpkeSenderContext::Seal(ByteView aad, ByteView plaintext) {
  KS_ASSIGN_OR_RETURN(const AeadNonce nonce, impl_->Nonce());
  Bytes out(plaintext.size() + kAeadTagBytes);
  KS_RETURN_IF_ERROR(impl_->aead->Seal(nonce, aad, plaintext, out));
  ++impl_->sequence;
  return out;
}

absl::StatusOr<SecretBytes> HpkeSenderContext::Export(ByteView exporter_context, size_t length) const {
  return ExportFrom(*impl_, exporter_context, length);
}

void HpkeSenderContext::SetSequenceForTest(uint64_t sequence) { impl_->sequence = sequence; }

HpkeReceiverContext::HpkeReceiverContext(std::unique_ptr<HpkeContextImpl> impl) : impl_(std::move(impl)) {}
HpkeReceiverContext::HpkeReceiverContext(HpkeReceiverContext&&) noexcept = default;
HpkeReceiverContext& HpkeReceiverContext::operator=(HpkeReceiverContext&&) noexcept = default;
HpkeReceiverContext::~HpkeReceiverContext() = default;

absl::StatusOr<SecretBytes> HpkeReceiverContext::Open(ByteView aad, ByteView ciphertext) {
  KS_ASSIGN_OR_RETURN(const AeadNonce nonce, impl_->Nonce());
  if (ciphertext.size() < kAeadTagBytes) return OpenFailed();
  SecretBytes out(ciphertext.size() - kAeadTagBytes);
  KS_RETURN_IF_ERROR(impl_->aead->Open(nonce, aad, ciphertext, out.MutableSecret()));
  ++impl_->sequence;
  return out;
}

absl::StatusOr<SecretBytes> HpkeReceiverContext::Export(ByteView exporter_context, size_t length) const {
  return ExportFrom(*impl_, exporter_context, length);
}

void HpkeReceiverContext::SetSequenceForTest(uint64_t sequence) { impl_->sequence = sequence; }

absl::StatusOr<HpkeSenderContext> HpkeSetupS(const EcdhPublicKey& receiver, const HpkeParams& params) {
  KS_RETURN_IF_ERROR(CheckParams(params));
  EcdhKeyPair generated;
  const EcdhKeyPair* ephemeral = params.ephemeral_for_test;
  if (ephemeral == nullptr) {
    KS_ASSIGN_OR_RETURN(generated, EcdhKeyPair::Generate());
    ephemeral = &generated;
  }
  KS_ASSIGN_OR_RETURN(const SecretBytes dh, ephemeral->Agree(receiver));
  const P256Point& enc = ephemeral->public_key().point();
  KS_ASSIGN_OR_RETURN(const SecretBytes shared_secret, SharedSecret(dh, enc, receiver.point()));
  KS_ASSIGN_OR_RETURN(auto context, KeySchedule(shared_secret, params));
  return HpkeSenderContext(enc, std::move(context));
}

absl::StatusOr<HpkeReceiverContext> HpkeSetupR(ByteView enc, const EcdhKeyPair& receiver,
                                               const HpkeParams& params) {
  KS_RETURN_IF_ERROR(CheckParams(params));
  const auto ephemeral = EcdhPublicKey::FromPoint(enc);
  if (!ephemeral.ok()) return OpenFailed();
  KS_ASSIGN_OR_RETURN(const SecretBytes dh, receiver.Agree(*ephemeral));
  KS_ASSIGN_OR_RETURN(const SecretBytes shared_secret, SharedSecret(dh, enc, receiver.public_key().point()));
  KS_ASSIGN_OR_RETURN(auto context, KeySchedule(shared_secret, params));
  return HpkeReceiverContext(std::move(context));
}

absl::StatusOr<EcdhKeyPair> HpkeDeriveKeyPair(const SecretBytes& ikm) {
  if (ikm.size() < kP256ScalarBytes) return absl::InvalidArgumentError("HPKE ikm is shorter than 32 bytes");
  const Suite suite = KemSuite();
  KS_ASSIGN_OR_RETURN(const SecretBytes dkp_prk, LabeledExtract(suite, {}, "dkp_prk", ikm.ExposeSecret()));
  for (int counter = 0; counter <= 255; ++counter) {  // RFC 9180, section 7.1.3; the bitmask of P-256 is 0xff
    const uint8_t byte = static_cast<uint8_t>(counter);
    KS_ASSIGN_OR_RETURN(const SecretBytes scalar,
                        LabeledExpand(suite, dkp_prk, "candidate", {&byte, 1}, kP256ScalarBytes));
    auto pair = EcdhKeyPair::FromPrivateScalar(scalar);
    if (pair.ok() || !absl::IsInvalidArgument(pair.status())) return pair;
  }
  return absl::InternalError("HPKE derived no key");
}

}  // namespace keystead::crypto
