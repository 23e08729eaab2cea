#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/crypto/hpke.h"
#include "tests/vectors/formats.h"

namespace keystead::vectors {
namespace {

using crypto::HpkeAead;

absl::Status Require(bool ok, std::string_view what) {
  return ok ? absl::OkStatus() : absl::InternalError(absl::StrCat(Absl(what), " is another than expected"));
}

// RFC 9180, section 7.1.3: a key pair from ikm, held against the file's private and public key.
absl::StatusOr<crypto::EcdhKeyPair> DeriveAndCompare(const Json& v, const char* ikm, const char* sk,
                                                     const char* pk) {
  KS_ASSIGN_OR_RETURN(const Bytes ikm_bytes, HexField(v, ikm));
  KS_ASSIGN_OR_RETURN(const Bytes sk_bytes, HexField(v, sk));
  KS_ASSIGN_OR_RETURN(const Bytes pk_bytes, HexField(v, pk));
  KS_ASSIGN_OR_RETURN(auto pair, crypto::HpkeDeriveKeyPair(SecretBytes::CopyOf(ikm_bytes)));
  KS_RETURN_IF_ERROR(Require(Equal(pair.ExportPrivateScalar().ExposeSecret(), sk_bytes), sk));
  KS_RETURN_IF_ERROR(Require(Equal(pair.public_key().point(), pk_bytes), pk));
  return pair;
}

absl::Status CheckEncryptions(const Json& v, crypto::HpkeSenderContext& sender,
                              crypto::HpkeReceiverContext& receiver) {
  KS_ASSIGN_OR_RETURN(const Json* list, Field(v, "encryptions"));
  KS_ASSIGN_OR_RETURN(const Bytes base_nonce, HexField(v, "base_nonce"));
  if (!list->is_array() || list->empty() || base_nonce.size() != 12) {
    return absl::InvalidArgumentError("encryptions are malformed");
  }
  uint64_t next = 0;
  for (const Json& e : *list) {
    KS_ASSIGN_OR_RETURN(const Bytes aad, HexField(e, "aad"));
    KS_ASSIGN_OR_RETURN(const Bytes ct, HexField(e, "ct"));
    KS_ASSIGN_OR_RETURN(const Bytes pt, HexField(e, FindField(e, "pt") != nullptr ? "pt" : "plaintext"));
    uint64_t sequence = next;  // in the full file it is the place in the list; trimmed files name it
    if (FindField(e, "seq") != nullptr) {
      KS_ASSIGN_OR_RETURN(const int64_t seq, IntField(e, "seq"));
      if (seq < 0) return absl::InvalidArgumentError("field seq is negative");
      sequence = static_cast<uint64_t>(seq);
    }
    next = sequence + 1;
    if (FindField(e, "nonce") != nullptr) {
      KS_ASSIGN_OR_RETURN(const Bytes nonce, HexField(e, "nonce"));
      Bytes expected = base_nonce;
      for (size_t i = 0; i < 8; ++i) expected[11 - i] ^= static_cast<uint8_t>(sequence >> (8 * i));
      KS_RETURN_IF_ERROR(Require(nonce == expected, "nonce"));
    }
    sender.SetSequenceForTest(sequence);
    receiver.SetSequenceForTest(sequence);
    KS_ASSIGN_OR_RETURN(const Bytes ours, sender.Seal(aad, pt));
    KS_RETURN_IF_ERROR(Require(ours == ct, absl::StrCat("ct at sequence ", sequence).c_str()));
    KS_ASSIGN_OR_RETURN(const SecretBytes opened, receiver.Open(aad, ct));
    KS_RETURN_IF_ERROR(Require(Equal(opened.ExposeSecret(), pt), "pt"));
  }
  return absl::OkStatus();
}

absl::Status CheckExports(const Json& v, const crypto::HpkeSenderContext& sender,
                          const crypto::HpkeReceiverContext& receiver) {
  KS_ASSIGN_OR_RETURN(const Json* list, Field(v, "exports"));
  if (!list->is_array() || list->empty()) return absl::InvalidArgumentError("field exports holds nothing");
  for (const Json& e : *list) {
    KS_ASSIGN_OR_RETURN(const Bytes context, HexField(e, "exporter_context"));
    KS_ASSIGN_OR_RETURN(const Bytes value, HexField(e, "exported_value"));
    KS_ASSIGN_OR_RETURN(const int64_t length, IntField(e, "L"));
    if (length < 0) return absl::InvalidArgumentError("field L is negative");
    KS_ASSIGN_OR_RETURN(const SecretBytes s, sender.Export(context, static_cast<size_t>(length)));
    KS_ASSIGN_OR_RETURN(const SecretBytes r, receiver.Export(context, static_cast<size_t>(length)));
    KS_RETURN_IF_ERROR(Require(Equal(s.ExposeSecret(), value) && s.ConstantTimeEquals(r), "exported_value"));
  }
  return absl::OkStatus();
}

Outcome CheckOne(const Json& v) {
  KS_ASSIGN_OR_RETURN(const int64_t mode, IntField(v, "mode"));
  KS_ASSIGN_OR_RETURN(const int64_t kem, IntField(v, "kem_id"));
  KS_ASSIGN_OR_RETURN(const int64_t kdf, IntField(v, "kdf_id"));
  KS_ASSIGN_OR_RETURN(const int64_t aead, IntField(v, "aead_id"));
  if (mode < 0 || mode > 3) return absl::InvalidArgumentError("field mode is unknown");
  if (kem < 1 || kem > 0xffff || aead < 1 || aead > 0xffff) {
    return absl::InvalidArgumentError("field kem_id or aead_id is out of range");
  }
  if (kem != crypto::kKemP256) return Unsupported::kOtherKem;
  if (kdf < 1 || kdf > 3) return absl::InvalidArgumentError("field kdf_id is not of RFC 9180");
  if (mode > 1) return Unsupported::kAuthMode;
  if (aead > 3 && aead != 0xffff) return Unsupported::kOtherAead;

  KS_ASSIGN_OR_RETURN(const auto receiver_key, DeriveAndCompare(v, "ikmR", "skRm", "pkRm"));
  KS_ASSIGN_OR_RETURN(const auto ephemeral, DeriveAndCompare(v, "ikmE", "skEm", "pkEm"));
  KS_ASSIGN_OR_RETURN(const Bytes info, HexField(v, "info"));
  KS_ASSIGN_OR_RETURN(const Bytes enc, HexField(v, "enc"));
  SecretBytes psk;
  Bytes psk_id;
  crypto::HpkeParams params;
  if (mode == 1) {
    KS_ASSIGN_OR_RETURN(const Bytes psk_bytes, HexField(v, "psk"));
    KS_ASSIGN_OR_RETURN(psk_id, HexField(v, "psk_id"));
    psk = SecretBytes::CopyOf(psk_bytes);
    params.psk = &psk;
    params.psk_id = psk_id;
  }
  params.info = info;
  params.aead = static_cast<HpkeAead>(aead);
  params.kdf = static_cast<crypto::HpkeKdf>(kdf);
  KS_ASSIGN_OR_RETURN(auto receiver, crypto::HpkeSetupR(enc, receiver_key, params));
  params.ephemeral_for_test = &ephemeral;
  KS_ASSIGN_OR_RETURN(auto sender, crypto::HpkeSetupS(receiver_key.public_key(), params));
  KS_RETURN_IF_ERROR(Require(Equal(sender.enc(), enc), "enc"));
  if (params.aead != HpkeAead::kExportOnly) KS_RETURN_IF_ERROR(CheckEncryptions(v, sender, receiver));
  KS_RETURN_IF_ERROR(CheckExports(v, sender, receiver));
  return kPassed;
}

}  // namespace

bool IsHpke(const Json& root) {
  return root.is_array() && !root.empty() && FindField(root[0], "kem_id") != nullptr;
}

Report CheckHpke(const Json& root) {
  Report report;
  for (size_t i = 0; i < root.size(); ++i) report.Add(absl::StrCat("vector ", i), CheckOne(root[i]));
  return report;
}

}  // namespace keystead::vectors
