#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_numbers.h"
#include "core/cose/hpke_recipient.h"
#include "core/crypto/aead.h"
#include "tests/vectors/formats.h"

namespace keystead::vectors {
namespace {

// A field that may be called `name` (text) or `name_hex`.
absl::StatusOr<Bytes> TextOrHex(const Json& v, const std::string& name) {
  if (FindField(v, name + "_hex") != nullptr) return HexField(v, name + "_hex");
  KS_ASSIGN_OR_RETURN(const std::string text, TextField(v, name));
  return ToBytes(text);
}

const Json& FromVectorOrRoot(const Json& v, const Json& root, const char* name) {
  return FindField(v, name) != nullptr ? v : root;
}

absl::StatusOr<crypto::EcdhKeyPair> PrivateKey(const Bytes& encoded) {
  KS_ASSIGN_OR_RETURN(const cose::CborValue key, cose::ParseCbor(encoded, {.lenient = true}));
  const cose::CborValue* const kty = key.Find(cose::kKeyKty);
  const cose::CborValue* const crv = key.Find(cose::kKeyCrv);
  const cose::CborValue* const d = key.Find(cose::kKeyD);
  if (kty == nullptr || !kty->IsInt(cose::kKtyEc2) || crv == nullptr || !crv->IsInt(cose::kCrvP256) ||
      d == nullptr) {
    return absl::InvalidArgumentError("recipient key is no private key on P-256");
  }
  return crypto::EcdhKeyPair::FromPrivateScalar(SecretBytes::CopyOf(d->bytes));
}

// Keystead's own objects are untagged; published ones carry their tag.
absl::StatusOr<ByteView> Untagged(ByteView message, uint64_t tag) {
  cose::CborReader reader(message, {.lenient = true});
  KS_ASSIGN_OR_RETURN(const cose::CborType type, reader.Peek());
  if (type != cose::CborType::kTag) return message;
  KS_ASSIGN_OR_RETURN(const uint64_t got, reader.ReadTag());
  if (got != tag) return absl::InvalidArgumentError("message has another tag");
  return message.subspan(reader.position());
}

// Some published messages carry a content IV of 32 bytes, which AES-GCM allows and the profile does not.
bool HasOddIv(ByteView object) {
  const auto message = cose::ParseCbor(object, {.lenient = true});
  if (!message.ok() || message->items.size() < 2) return false;
  const cose::CborValue* const iv = message->items[1].Find(cose::kHeaderIv);
  return iv != nullptr && iv->type == cose::CborType::kBytes && iv->bytes.size() != crypto::kAeadNonceBytes;
}

// The suites of the draft beside HPKE-7. HPKE-0 has our KEM with AES-128-GCM; 1 and 2 are on P-384 and P-521,
// 3 and 4 on X25519, 5 and 6 on X448, and higher numbers are the drafts' that follow.
Outcome OtherSuite(std::string_view alg) {
  if (alg.ends_with("-KE")) alg.remove_suffix(3);
  if (!alg.starts_with("HPKE-") || alg.size() < 6 || alg.size() > 8 ||
      alg.find_first_not_of("0123456789", 5) != std::string_view::npos) {
    return absl::InvalidArgumentError("field alg is unknown");
  }
  return alg == "HPKE-0" ? Unsupported::kOtherAead : Unsupported::kOtherKem;
}

Outcome CheckOne(const Json& root, const Json& v) {
  KS_ASSIGN_OR_RETURN(const std::string alg, TextField(v, "alg"));
  const bool integrated = alg == "HPKE-7";
  if (!integrated && alg != "HPKE-7-KE") return OtherSuite(alg);
  KS_ASSIGN_OR_RETURN(const std::string structure, TextField(v, "structure"));
  if (structure.starts_with("COSE_Mac")) return Unsupported::kCoseMac;
  if (structure != (integrated ? "COSE_Encrypt0" : "COSE_Encrypt")) {
    return absl::InvalidArgumentError("field structure does not fit alg");
  }
  KS_ASSIGN_OR_RETURN(const std::string mode, TextField(v, "mode"));
  if (mode == "auth" || mode == "auth_psk") return Unsupported::kAuthMode;
  if (mode != "base" && mode != "psk") return absl::InvalidArgumentError("field mode is unknown");

  KS_ASSIGN_OR_RETURN(const Bytes plaintext, TextOrHex(FromVectorOrRoot(v, root, "plaintext"), "plaintext"));
  KS_ASSIGN_OR_RETURN(const Bytes external_aad, TextOrHex(v, "external_aad"));
  KS_ASSIGN_OR_RETURN(const Bytes info, TextOrHex(v, "info"));
  KS_ASSIGN_OR_RETURN(const Bytes hpke_aad, TextOrHex(v, "hpke_aad"));
  KS_ASSIGN_OR_RETURN(const Bytes key_bytes, HexField(v, "recipient_private_cose_key_hex"));
  KS_ASSIGN_OR_RETURN(const Bytes message, HexField(v, "message_hex"));
  KS_ASSIGN_OR_RETURN(const auto key, PrivateKey(key_bytes));
  KS_ASSIGN_OR_RETURN(const bool must_fail, MustFail(v));
  SecretBytes psk;
  Bytes psk_id;
  cose::HpkePsk with_psk;
  if (mode == "psk") {
    KS_ASSIGN_OR_RETURN(const Bytes psk_bytes, HexField(FromVectorOrRoot(v, root, "psk_hex"), "psk_hex"));
    KS_ASSIGN_OR_RETURN(psk_id, HexField(FromVectorOrRoot(v, root, "psk_id_hex"), "psk_id_hex"));
    psk = SecretBytes::CopyOf(psk_bytes);
    with_psk = {&psk, psk_id};
  }
  const cose::HpkeBinding binding{external_aad, info, hpke_aad};
  absl::StatusOr<SecretBytes> opened = absl::InvalidArgumentError("");
  const auto object = Untagged(message, integrated ? cose::kTagEncrypt0 : cose::kTagEncrypt);
  if (object.ok() && !integrated && HasOddIv(*object)) return Unsupported::kGcmIvSize;
  if (!object.ok()) {
    opened = object.status();
  } else if (integrated) {
    opened = cose::OpenHpkeEncrypt0(*object, key, with_psk, binding);
  } else {
    opened = cose::OpenHpkeEncrypt(*object, key, {}, with_psk, binding);
  }
  if (must_fail)
    return opened.ok() ? Outcome(absl::InternalError("must be refused, but opened")) : Outcome(kPassed);
  if (!opened.ok()) return opened.status();
  if (!Equal(opened->ExposeSecret(), plaintext))
    return absl::InternalError("another plaintext than expected");
  return kPassed;
}

}  // namespace

bool IsCoseHpke(const Json& root) {
  const Json* const vectors = FindField(root, "vectors");
  return vectors != nullptr && vectors->is_array() && !vectors->empty() &&
         FindField((*vectors)[0], "recipient_private_cose_key_hex") != nullptr;
}

Report CheckCoseHpke(const Json& root) {
  Report report;
  const Json& vectors = *FindField(root, "vectors");
  for (size_t i = 0; i < vectors.size(); ++i) {
    const std::string title = TextOr(vectors[i], "title", "");
    report.Add(absl::StrCat("vector ", i, title.empty() ? "" : " ", title), CheckOne(root, vectors[i]));
  }
  return report;
}

}  // namespace keystead::vectors
