#include "core/cose/hpke_recipient.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_numbers.h"
#include "core/cose/encrypt0.h"
#include "core/crypto/aead.h"
#include "core/crypto/errors.h"

namespace keystead::cose {
namespace {

// Trying recipients without a kid costs a key agreement each.
constexpr size_t kMaxTrials = 16;

// What the two headers of a layer may hold together; a label in both is refused (RFC 9052, section 3).
struct Headers {
  std::optional<int64_t> alg;
  std::optional<ByteView> kid;
  std::optional<ByteView> iv;
  std::optional<ByteView> ek;
  std::optional<ByteView> psk_id;
};

absl::Status ReadField(CborReader& reader, size_t min, size_t max, std::optional<ByteView>& field) {
  if (field.has_value()) return absl::InvalidArgumentError("COSE: header in both buckets");
  KS_ASSIGN_OR_RETURN(const ByteView bytes, reader.ReadBytes());
  if (bytes.size() < min || bytes.size() > max)
    return absl::InvalidArgumentError("COSE: header of a wrong size");
  field = bytes;
  return absl::OkStatus();
}

absl::Status ReadHeader(CborReader& reader, bool is_protected, Headers& out) {
  KS_ASSIGN_OR_RETURN(const size_t pairs, reader.ReadMap());
  for (size_t i = 0; i < pairs; ++i) {
    KS_ASSIGN_OR_RETURN(const int64_t label, reader.ReadInt());
    if (label == kHeaderAlg && is_protected) {
      KS_ASSIGN_OR_RETURN(out.alg, reader.ReadInt());
    } else if (label == kHeaderKid) {
      KS_RETURN_IF_ERROR(ReadField(reader, 1, kMaxKidBytes, out.kid));
    } else if (label == kHeaderIv && !is_protected) {
      KS_RETURN_IF_ERROR(ReadField(reader, crypto::kAeadNonceBytes, crypto::kAeadNonceBytes, out.iv));
    } else if (label == kHeaderEk && !is_protected) {
      KS_RETURN_IF_ERROR(ReadField(reader, crypto::kHpkeEncBytes, crypto::kHpkeEncBytes, out.ek));
    } else if (label == kHeaderPskId && is_protected) {
      KS_RETURN_IF_ERROR(ReadField(reader, 1, kMaxPskIdBytes, out.psk_id));
    } else {
      return absl::InvalidArgumentError("COSE: unknown or misplaced header");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Headers> ReadHeaders(CborReader& reader, ByteView& protected_bytes) {
  Headers out;
  KS_ASSIGN_OR_RETURN(protected_bytes, reader.ReadBytes());
  CborReader header(protected_bytes);
  KS_RETURN_IF_ERROR(ReadHeader(header, true, out));
  KS_RETURN_IF_ERROR(header.Finish());
  KS_RETURN_IF_ERROR(ReadHeader(reader, false, out));
  return out;
}

// The layer that HPKE made: protected, unprotected and ciphertext, inside an array of three.
absl::StatusOr<HpkeRecipientView> ReadHpkeLayer(CborReader& reader, int64_t alg) {
  HpkeRecipientView out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(3));
  KS_ASSIGN_OR_RETURN(const Headers headers, ReadHeaders(reader, out.protected_bytes));
  if (headers.alg != alg || !headers.ek.has_value() || headers.iv.has_value()) {
    return absl::InvalidArgumentError("COSE-HPKE: alg or ek missing or wrong");
  }
  out.kid = headers.kid.value_or(ByteView());
  out.psk_id = headers.psk_id.value_or(ByteView());
  out.ek = *headers.ek;
  KS_ASSIGN_OR_RETURN(out.ciphertext, reader.ReadBytes());
  return out;
}

absl::Status CheckPsk(const HpkePsk& psk) {
  if (psk.psk != nullptr && (psk.psk_id.empty() || psk.psk_id.size() > kMaxPskIdBytes)) {
    return absl::InvalidArgumentError("COSE-HPKE: psk_id has 1 to 64 bytes");
  }
  return absl::OkStatus();
}

Bytes HpkeProtected(int64_t alg, ByteView kid, const HpkePsk& psk) {
  CborMap header;
  header.Set(kHeaderAlg, alg);
  if (!kid.empty()) header.Set(kHeaderKid, kid);
  if (psk.psk != nullptr) header.Set(kHeaderPskId, psk.psk_id);
  return header.Encode();
}

crypto::HpkeParams Params(const HpkePsk& psk, ByteView info) {
  crypto::HpkeParams params;
  params.info = info;
  params.psk = psk.psk;
  if (psk.psk != nullptr) params.psk_id = psk.psk_id;
  return params;
}

absl::StatusOr<SecretBytes> OpenLayer(const HpkeRecipientView& layer, const crypto::EcdhKeyPair& key,
                                      const HpkePsk& psk, ByteView info, ByteView aad) {
  KS_RETURN_IF_ERROR(CheckPsk(psk));
  // psk_id is also part of HPKE's key schedule: this saves the key agreement for a message that cannot open.
  const ByteView expected_id = psk.psk != nullptr ? psk.psk_id : ByteView();
  if (!Equal(layer.psk_id, expected_id)) return crypto::OpenFailed();
  KS_ASSIGN_OR_RETURN(auto context, crypto::HpkeSetupR(layer.ek, key, Params(psk, info)));
  return context.Open(aad, layer.ciphertext);
}

crypto::AeadNonce ToNonce(ByteView iv) {
  crypto::AeadNonce nonce{};
  std::copy(iv.begin(), iv.end(), nonce.begin());
  return nonce;
}

absl::Status WriteRecipient(const HpkeRecipientTo& to, const HpkeBinding& binding, const SecretBytes& cek,
                            CborWriter& w) {
  KS_RETURN_IF_ERROR(CheckPsk(to.psk));
  if (to.kid.size() > kMaxKidBytes) return absl::InvalidArgumentError("COSE-HPKE: kid has at most 64 bytes");
  const Bytes header = HpkeProtected(kAlgHpke7Ke, to.kid, to.psk);
  const Bytes info = HpkeRecipientStructure(header, binding.info);
  KS_ASSIGN_OR_RETURN(auto context, crypto::HpkeSetupS(to.key, Params(to.psk, info)));
  KS_ASSIGN_OR_RETURN(const Bytes sealed_cek, context.Seal(binding.hpke_aad, cek.ExposeSecret()));
  w.Array(3).Bstr(header).Map(1).Int(kHeaderEk).Bstr(context.enc()).Bstr(sealed_cek);
  return absl::OkStatus();
}

}  // namespace

Bytes HpkeRecipientStructure(ByteView recipient_protected, ByteView extra) {
  return EncodeArray("HPKE Recipient", kAlgA256Gcm, recipient_protected, extra);
}

absl::StatusOr<HpkeRecipientView> ParseHpkeEncrypt0(ByteView object) {
  CborReader reader(object);
  KS_ASSIGN_OR_RETURN(const HpkeRecipientView out, ReadHpkeLayer(reader, kAlgHpke7));
  KS_RETURN_IF_ERROR(reader.Finish());
  return out;
}

absl::StatusOr<HpkeEncryptView> ParseHpkeEncrypt(ByteView object) {
  CborReader reader(object);
  HpkeEncryptView out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(const Headers headers, ReadHeaders(reader, out.protected_bytes));
  if (headers.alg != kAlgA256Gcm || !headers.iv.has_value() || headers.kid.has_value() ||
      headers.ek.has_value() || headers.psk_id.has_value()) {
    return absl::InvalidArgumentError("COSE_Encrypt: headers are not {1: 3} and {5: IV}");
  }
  out.iv = *headers.iv;
  KS_ASSIGN_OR_RETURN(out.ciphertext, reader.ReadBytes());
  KS_ASSIGN_OR_RETURN(const size_t recipients, reader.ReadArray());
  if (recipients == 0 || recipients > kMaxRecipients) {
    return absl::InvalidArgumentError("COSE_Encrypt: no recipient or too many");
  }
  for (size_t i = 0; i < recipients; ++i) {
    KS_ASSIGN_OR_RETURN(const HpkeRecipientView recipient, ReadHpkeLayer(reader, kAlgHpke7Ke));
    out.recipients.push_back(recipient);
  }
  KS_RETURN_IF_ERROR(reader.Finish());
  return out;
}

absl::StatusOr<Bytes> SealHpkeEncrypt0(const crypto::EcdhPublicKey& to, ByteView kid, const HpkePsk& psk,
                                       const HpkeBinding& binding, ByteView plaintext,
                                       const crypto::EcdhKeyPair* ephemeral_for_test) {
  KS_RETURN_IF_ERROR(CheckPsk(psk));
  if (kid.size() > kMaxKidBytes) return absl::InvalidArgumentError("COSE-HPKE: kid has at most 64 bytes");
  const Bytes header = HpkeProtected(kAlgHpke7, {}, psk);
  crypto::HpkeParams params = Params(psk, binding.info);
  params.ephemeral_for_test = ephemeral_for_test;
  KS_ASSIGN_OR_RETURN(auto context, crypto::HpkeSetupS(to, params));
  KS_ASSIGN_OR_RETURN(const Bytes sealed,
                      context.Seal(EncStructure("Encrypt0", header, binding.external_aad), plaintext));
  CborMap unprotected;
  if (!kid.empty()) unprotected.Set(kHeaderKid, kid);
  unprotected.Set(kHeaderEk, ByteView(context.enc()));
  CborWriter w;
  w.Array(3).Bstr(header);
  unprotected.WriteTo(w);
  w.Bstr(sealed);
  return w.Take();
}

absl::StatusOr<SecretBytes> OpenHpkeEncrypt0(ByteView object, const crypto::EcdhKeyPair& key,
                                             const HpkePsk& psk, const HpkeBinding& binding) {
  KS_ASSIGN_OR_RETURN(const HpkeRecipientView layer, ParseHpkeEncrypt0(object));
  const Bytes aad = EncStructure("Encrypt0", layer.protected_bytes, binding.external_aad);
  return OpenLayer(layer, key, psk, binding.info, aad);
}

absl::StatusOr<Bytes> SealHpkeEncrypt(std::span<const HpkeRecipientTo> to, const HpkeBinding& binding,
                                      ByteView plaintext, RandomSource& random) {
  if (to.empty() || to.size() > kMaxRecipients)
    return absl::InvalidArgumentError("COSE_Encrypt: no recipient or too many");
  const SecretBytes cek = random.Secret(crypto::kAeadKeyBytes);
  crypto::AeadNonce iv{};
  random.Fill(iv);
  KS_ASSIGN_OR_RETURN(auto aead, crypto::Aes256Gcm::Create(cek));
  CborWriter header;
  header.Map(1).Int(kHeaderAlg).Int(kAlgA256Gcm);
  Bytes sealed;
  KS_RETURN_IF_ERROR(
      aead.SealAppend(iv, EncStructure("Encrypt", header.bytes(), binding.external_aad), plaintext, sealed));
  CborWriter w;
  w.Array(4).Bstr(header.bytes()).Map(1).Int(kHeaderIv).Bstr(iv).Bstr(sealed).Array(to.size());
  for (const HpkeRecipientTo& recipient : to) KS_RETURN_IF_ERROR(WriteRecipient(recipient, binding, cek, w));
  return w.Take();
}

absl::StatusOr<SecretBytes> OpenHpkeEncrypt(ByteView object, const crypto::EcdhKeyPair& key, ByteView kid,
                                            const HpkePsk& psk, const HpkeBinding& binding) {
  KS_ASSIGN_OR_RETURN(const HpkeEncryptView view, ParseHpkeEncrypt(object));
  KS_RETURN_IF_ERROR(CheckPsk(psk));
  size_t trials = 0;
  for (const HpkeRecipientView& recipient : view.recipients) {
    if (!kid.empty() && !Equal(recipient.kid, kid)) continue;
    if (++trials > kMaxTrials) break;
    const Bytes info = HpkeRecipientStructure(recipient.protected_bytes, binding.info);
    auto cek = OpenLayer(recipient, key, psk, info, binding.hpke_aad);
    if (!cek.ok()) {
      if (cek.status().code() != crypto::kOpenFailedCode) return cek.status();
      continue;
    }
    if (cek->size() != crypto::kAeadKeyBytes) return crypto::OpenFailed();
    KS_ASSIGN_OR_RETURN(auto aead, crypto::Aes256Gcm::Create(*cek));
    return aead.OpenSecret(ToNonce(view.iv),
                           EncStructure("Encrypt", view.protected_bytes, binding.external_aad),
                           view.ciphertext);
  }
  return crypto::OpenFailed();
}

}  // namespace keystead::cose
