#include <algorithm>
#include <array>

#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_numbers.h"
#include "core/cose/encrypt0.h"
#include "core/cose/sign1.h"
#include "core/crypto/errors.h"
#include "core/crypto/evp_aead.h"
#include "core/crypto/evp_hash.h"
#include "core/crypto/p256.h"
#include "tests/vectors/formats.h"
#include "tests/vectors/key_files.h"

namespace keystead::vectors {
namespace {

using cose::CborType;
using cose::CborValue;
using crypto::AeadKind;

constexpr int64_t kAlgChaCha20Poly1305 = 24;

struct AeadAlgorithm {
  std::string_view name;
  int64_t number;
  AeadKind kind;
};
constexpr std::array<AeadAlgorithm, 4> kAeads = {{
    {"A128GCM", cose::kAlgA128Gcm, AeadKind::kAes128Gcm},
    {"A192GCM", cose::kAlgA192Gcm, AeadKind::kAes192Gcm},
    {"A256GCM", cose::kAlgA256Gcm, AeadKind::kAes256Gcm},
    {"ChaCha-Poly1305", kAlgChaCha20Poly1305, AeadKind::kChaCha20Poly1305},
}};

// ECDSA over P-256 with any hash (RFC 9053, section 2.1). Keystead itself writes and reads the first two.
struct SignatureAlgorithm {
  std::string_view name;
  int64_t number;
  const char* openssl_hash;  // null: SHA-256, of core/crypto
};
constexpr std::array<SignatureAlgorithm, 4> kSignatures = {{
    {"ES256", cose::kAlgEs256, nullptr},
    {"ESP256", cose::kAlgEsp256, nullptr},
    {"ES384", -35, "SHA384"},
    {"ES512", -36, "SHA512"},
}};

// The headers of one layer of a received message: protected first, as RFC 9052, section 3 reads them.
struct Layer {
  Bytes protected_bytes;
  CborValue protected_map;
  const CborValue* unprotected = nullptr;

  const CborValue* Find(int64_t label) const {
    const CborValue* const found = protected_map.Find(label);
    return found != nullptr ? found : unprotected->Find(label);
  }
};

absl::Status Refused(const char* why) { return absl::InvalidArgumentError(why); }

absl::StatusOr<Layer> ReadLayer(const CborValue& array) {
  Layer out;
  if (array.items.size() < 3 || array.items[0].type != CborType::kBytes ||
      array.items[1].type != CborType::kMap) {
    return Refused("message has no headers");
  }
  out.protected_bytes = array.items[0].bytes;
  out.unprotected = &array.items[1];
  out.protected_map.type = CborType::kMap;
  if (!out.protected_bytes.empty()) {
    KS_ASSIGN_OR_RETURN(out.protected_map, cose::ParseCbor(out.protected_bytes, {.lenient = true}));
  }
  if (out.protected_map.type != CborType::kMap) return Refused("protected header is no map");
  if (out.Find(cose::kHeaderCrit) != nullptr) return Refused("critical header is not understood");
  return out;
}

// The array of a message with the tag it must have, or none; a CWT tag may stand around.
absl::StatusOr<CborValue> ReadMessage(ByteView message, uint64_t tag, size_t items) {
  KS_ASSIGN_OR_RETURN(CborValue value, cose::ParseCbor(message, {.lenient = true}));
  for (const uint64_t allowed : {cose::kTagCwt, tag}) {
    if (value.type == CborType::kTag && value.argument == allowed) {
      CborValue inner = std::move(value.items[0]);
      value = std::move(inner);
    }
  }
  if (value.type != CborType::kArray || value.items.size() != items)
    return Refused("message has another tag or shape");
  return value;
}

// "name" as text, hex (name_hex) or base64url, as keys are written in these files.
absl::StatusOr<Bytes> KeyBytes(const Json& key, const std::string& name) {
  if (FindField(key, name + "_hex") != nullptr) return HexField(key, name + "_hex");
  KS_ASSIGN_OR_RETURN(const std::string text, TextField(key, name));
  return FromBase64Url(text);
}

absl::StatusOr<Bytes> Plaintext(const Json& input) {
  if (FindField(input, "plaintext_hex") != nullptr) return HexField(input, "plaintext_hex");
  KS_ASSIGN_OR_RETURN(const std::string text, TextField(input, "plaintext"));
  return ToBytes(text);
}

std::string AlgorithmName(const Json& layer) {
  for (const char* bucket : {"protected", "unprotected", "unsent"}) {
    const Json* const headers = FindField(layer, bucket);
    if (headers != nullptr && FindField(*headers, "alg") != nullptr) return TextOr(*headers, "alg", "");
  }
  return TextOr(layer, "alg", "");
}

absl::StatusOr<std::string> RequiredAlgorithm(const Json& layer) {
  std::string name = AlgorithmName(layer);
  if (name.empty()) return absl::InvalidArgumentError("field alg is missing");
  return name;
}

bool HasCountersignature(const Json& layer) {
  if (!layer.is_object()) return false;
  for (const auto& item : layer.items()) {
    if (item.key().starts_with("countersign")) return true;
  }
  return false;
}

absl::Status CheckIntermediate(const Json& root, const char* name, const Bytes& ours) {
  const Json* const intermediates = FindField(root, "intermediates");
  if (intermediates == nullptr || FindField(*intermediates, name) == nullptr) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const Bytes expected, HexField(*intermediates, name));
  return ours == expected ? absl::OkStatus()
                          : absl::InternalError("the structure under seal is another than expected");
}

absl::StatusOr<crypto::EcdsaPublicKey> SignerKey(const Json& key) {
  if (FindField(key, "y") == nullptr && FindField(key, "y_hex") == nullptr) {
    KS_ASSIGN_OR_RETURN(const Bytes d, KeyBytes(key, "d"));
    KS_ASSIGN_OR_RETURN(const auto pair, crypto::EcdsaKeyPair::FromPrivateScalar(SecretBytes::CopyOf(d)));
    return pair.public_key();
  }
  KS_ASSIGN_OR_RETURN(const Bytes x, KeyBytes(key, "x"));
  KS_ASSIGN_OR_RETURN(const Bytes y, KeyBytes(key, "y"));
  return crypto::EcdsaPublicKey::FromXy(x, y);
}

// What the file gives, read before the message is judged: a file that lacks something is no refusal of ours.
struct Given {
  Bytes message;
  Bytes plaintext;
  Bytes external;
};

absl::Status VerifySigned(const Json& root, const Given& given, const crypto::EcdsaPublicKey& key) {
  KS_ASSIGN_OR_RETURN(const CborValue message, ReadMessage(given.message, cose::kTagSign1, 4));
  KS_ASSIGN_OR_RETURN(const Layer layer, ReadLayer(message));
  const CborValue* const alg = layer.Find(cose::kHeaderAlg);
  const SignatureAlgorithm* algorithm = nullptr;
  for (const SignatureAlgorithm& a : kSignatures) {
    if (alg != nullptr && alg->IsInt(a.number)) algorithm = &a;
  }
  if (algorithm == nullptr) return Refused("message is not signed with ECDSA");
  const CborValue& payload = message.items[2];
  const bool detached = payload.type == CborType::kNull;
  if ((!detached && payload.type != CborType::kBytes) || message.items[3].type != CborType::kBytes) {
    return Refused("payload or signature is no byte string");
  }
  const Bytes& content = detached ? given.plaintext : payload.bytes;
  const Bytes to_be_signed = cose::SigStructure(layer.protected_bytes, given.external, content);
  if (algorithm->openssl_hash == nullptr) {
    KS_RETURN_IF_ERROR(key.Verify(to_be_signed, message.items[3].bytes));
  } else {
    KS_ASSIGN_OR_RETURN(const Bytes digest, crypto::EvpHash(algorithm->openssl_hash, to_be_signed));
    KS_RETURN_IF_ERROR(crypto::EvpVerify(key, digest, message.items[3].bytes));
  }
  if (content != given.plaintext) return absl::InternalError("another payload than expected");
  return CheckIntermediate(root, "ToBeSign_hex", to_be_signed);
}

// These files give the whole IV ("unsent") beside a Partial IV: its tail is what the message must carry.
absl::StatusOr<Bytes> Nonce(const Layer& layer, const Bytes& full_iv) {
  if (const CborValue* const iv = layer.Find(cose::kHeaderIv)) return iv->bytes;
  const CborValue* const partial = layer.Find(cose::kHeaderPartialIv);
  if (partial == nullptr || partial->bytes.size() > full_iv.size())
    return Refused("message has no usable IV");
  Bytes nonce = full_iv;
  std::copy_backward(partial->bytes.begin(), partial->bytes.end(), nonce.end());
  return nonce;
}

absl::Status OpenEncrypted(const Json& root, const Given& given, bool has_recipients, const Bytes& key,
                           const Bytes& full_iv) {
  KS_ASSIGN_OR_RETURN(const CborValue message,
                      ReadMessage(given.message, has_recipients ? cose::kTagEncrypt : cose::kTagEncrypt0,
                                  has_recipients ? 4 : 3));
  KS_ASSIGN_OR_RETURN(const Layer layer, ReadLayer(message));
  const CborValue* const alg = layer.Find(cose::kHeaderAlg);
  const AeadAlgorithm* algorithm = nullptr;
  for (const AeadAlgorithm& a : kAeads) {
    if (alg != nullptr && alg->IsInt(a.number)) algorithm = &a;
  }
  if (algorithm == nullptr || message.items[2].type != CborType::kBytes)
    return Refused("message is not in AES-GCM");
  if (has_recipients) {
    const CborValue& recipients = message.items[3];
    if (recipients.items.size() != 1) return Refused("message has another number of recipients than one");
    KS_ASSIGN_OR_RETURN(const Layer recipient, ReadLayer(recipients.items[0]));
    const CborValue* const direct = recipient.Find(cose::kHeaderAlg);
    // RFC 9053, section 6.1.1: direct encryption has nothing protected and no ciphertext.
    if (direct == nullptr || !direct->IsInt(cose::kAlgDirect) || !recipient.protected_map.pairs.empty() ||
        !recipients.items[0].items[2].bytes.empty()) {
      return Refused("recipient is not direct");
    }
  }
  KS_ASSIGN_OR_RETURN(const Bytes nonce, Nonce(layer, full_iv));
  if (nonce.size() != crypto::kAeadNonceBytes) return absl::UnimplementedError("nonce other than 96 bits");
  const Bytes& sealed = message.items[2].bytes;
  const Bytes aad =
      cose::EncStructure(has_recipients ? "Encrypt" : "Encrypt0", layer.protected_bytes, given.external);
  KS_ASSIGN_OR_RETURN(const auto aead, crypto::EvpAead::Create(algorithm->kind, key));
  if (sealed.size() < crypto::kAeadTagBytes) return crypto::OpenFailed();
  Bytes opened(sealed.size() - crypto::kAeadTagBytes);
  KS_RETURN_IF_ERROR(aead->Open(nonce, aad, sealed, opened));
  if (opened != given.plaintext) return absl::InternalError("another plaintext than expected");
  return CheckIntermediate(root, "AAD_hex", aad);
}

absl::StatusOr<Given> ReadGiven(const Json& root, const Json& input, const Json& layer) {
  Given out;
  KS_ASSIGN_OR_RETURN(const Json* output, Field(root, "output"));
  KS_ASSIGN_OR_RETURN(out.message, HexField(*output, "cbor"));
  KS_ASSIGN_OR_RETURN(out.plaintext, Plaintext(input));
  KS_ASSIGN_OR_RETURN(out.external, HexOrEmpty(layer, "external"));
  return out;
}

// What our code made of the message, against the "fail" of the file. INTERNAL: authentic, but not as given.
// UNIMPLEMENTED: a nonce that the profile does not have.
Outcome Judge(const Json& root, const absl::Status& ours) {
  if (absl::IsUnimplemented(ours)) return Unsupported::kGcmIvSize;
  KS_ASSIGN_OR_RETURN(const bool must_fail, MustFail(root));
  if (must_fail && !ours.ok() && !absl::IsInternal(ours)) return kPassed;
  if (must_fail) return absl::InternalError("must be refused, but was accepted");
  if (!ours.ok()) return ours;
  return kPassed;
}

Outcome CheckSign1(const Json& root, const Json& input, const Json& layer) {
  if (HasCountersignature(layer)) return Unsupported::kCoseCountersignature;
  KS_ASSIGN_OR_RETURN(const std::string alg, RequiredAlgorithm(layer));
  if (alg == "EdDSA" || alg == "ES256K") return Unsupported::kOtherCurve;
  if (std::none_of(kSignatures.begin(), kSignatures.end(), [&](const auto& a) { return a.name == alg; })) {
    return Unsupported::kCoseSignature;
  }
  KS_ASSIGN_OR_RETURN(const Json* key, Field(layer, "key"));
  KS_ASSIGN_OR_RETURN(const std::string kty, TextField(*key, "kty"));
  if (kty != "EC" && kty != "EC2") return absl::InvalidArgumentError("field kty is not of ECDSA");
  KS_ASSIGN_OR_RETURN(const std::string crv, TextField(*key, "crv"));
  KS_ASSIGN_OR_RETURN(const bool supported, IsP256(crv));
  if (!supported) return Unsupported::kOtherCurve;
  KS_ASSIGN_OR_RETURN(const auto public_key, SignerKey(*key));
  KS_ASSIGN_OR_RETURN(const Given given, ReadGiven(root, input, layer));
  return Judge(root, VerifySigned(root, given, public_key));
}

Outcome CheckEncrypted(const Json& root, const Json& input, const Json& layer, bool has_recipients) {
  if (HasCountersignature(layer)) return Unsupported::kCoseCountersignature;
  KS_ASSIGN_OR_RETURN(const std::string name, RequiredAlgorithm(layer));
  bool known = false;
  for (const AeadAlgorithm& a : kAeads) known = known || a.name == name;
  if (!known) return Unsupported::kOtherAead;
  KS_ASSIGN_OR_RETURN(const Json* recipients, Field(layer, "recipients"));
  if (!recipients->is_array() || recipients->empty())
    return absl::InvalidArgumentError("field recipients is empty");
  for (const Json& recipient : *recipients) {
    KS_ASSIGN_OR_RETURN(const std::string management, RequiredAlgorithm(recipient));
    if (management != "direct") return Unsupported::kCoseRecipient;
  }
  if (recipients->size() != 1) return Unsupported::kCoseRecipient;
  KS_ASSIGN_OR_RETURN(const Json* key, Field((*recipients)[0], "key"));
  KS_ASSIGN_OR_RETURN(const Bytes key_bytes, KeyBytes(*key, "k"));
  Bytes full_iv;
  if (const Json* const unsent = FindField(layer, "unsent"); unsent != nullptr) {
    KS_ASSIGN_OR_RETURN(full_iv, HexOrEmpty(*unsent, "IV_hex"));
  }
  KS_ASSIGN_OR_RETURN(const Given given, ReadGiven(root, input, layer));
  return Judge(root, OpenEncrypted(root, given, has_recipients, key_bytes, full_iv));
}

Outcome CheckExample(const Json& root) {
  const Json& input = *FindField(root, "input");
  for (const char* mac : {"mac", "mac0"}) {
    if (FindField(input, mac) != nullptr) return Unsupported::kCoseMac;
  }
  if (FindField(input, "sign") != nullptr) return Unsupported::kCoseMultiSigner;
  for (const char* name : {"sign0", "sign1"}) {
    if (const Json* const layer = FindField(input, name)) return CheckSign1(root, input, *layer);
  }
  if (const Json* const layer = FindField(input, "encrypted"))
    return CheckEncrypted(root, input, *layer, false);
  return CheckEncrypted(root, input, *FindField(input, "enveloped"), true);
}

}  // namespace

absl::StatusOr<bool> MustFail(const Json& vector) {
  const Json* const fail = FindField(vector, "fail");
  if (fail == nullptr) return false;
  if (!fail->is_boolean()) return absl::InvalidArgumentError("field fail is no boolean");
  return fail->get<bool>();
}

bool IsCoseExample(const Json& root) {
  const Json* const input = FindField(root, "input");
  if (input == nullptr || FindField(root, "output") == nullptr) return false;
  for (const char* name : {"mac", "mac0", "sign", "sign0", "sign1", "encrypted", "enveloped"}) {
    if (FindField(*input, name) != nullptr) return true;
  }
  return false;
}

Report CheckCoseExample(const Json& root) {
  Report report;
  report.Add(TextOr(root, "title", "example"), CheckExample(root));
  return report;
}

}  // namespace keystead::vectors
