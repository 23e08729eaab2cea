#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/crypto/evp_aead.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/p256.h"
#include "tests/vectors/formats.h"

namespace keystead::vectors {
namespace {

using crypto::AeadKind;

// What our code did with a vector, to be held against the file's "result".
struct Done {
  bool accepted = false;  // we took the input for good
  bool matches = false;   // and came to the value the file gives
};
using Judged = absl::StatusOr<std::variant<Done, Unsupported>>;

struct Case {
  const Json& root;
  const Json& group;
  const Json& test;
};

AeadKind GcmKind(size_t key_bytes) {
  return key_bytes == 16   ? AeadKind::kAes128Gcm
         : key_bytes == 24 ? AeadKind::kAes192Gcm
                           : AeadKind::kAes256Gcm;
}

Judged CheckAead(const Case& c) {
  const std::string algorithm = TextOr(c.root, "algorithm", "");
  if (algorithm != "AES-GCM" && algorithm != "CHACHA20-POLY1305") return Unsupported::kOtherAead;
  KS_ASSIGN_OR_RETURN(const Bytes key, HexField(c.test, "key"));
  KS_ASSIGN_OR_RETURN(const Bytes iv, HexField(c.test, "iv"));
  KS_ASSIGN_OR_RETURN(const Bytes aad, HexField(c.test, "aad"));
  KS_ASSIGN_OR_RETURN(const Bytes msg, HexField(c.test, "msg"));
  KS_ASSIGN_OR_RETURN(Bytes sealed, HexField(c.test, "ct"));
  KS_ASSIGN_OR_RETURN(const Bytes tag, HexField(c.test, "tag"));
  if (iv.size() != crypto::kAeadNonceBytes) return Unsupported::kGcmIvSize;
  const auto tag_bits = IntField(c.group, "tagSize");
  if (tag_bits.ok() && *tag_bits != 128) return Unsupported::kAeadTagSize;
  Append(sealed, tag);
  const AeadKind kind = algorithm == "AES-GCM" ? GcmKind(key.size()) : AeadKind::kChaCha20Poly1305;
  auto aead = crypto::EvpAead::Create(kind, key);
  if (!aead.ok()) return Done{};
  Bytes opened(sealed.size() < crypto::kAeadTagBytes ? 0 : sealed.size() - crypto::kAeadTagBytes);
  Done done;
  done.accepted = (*aead)->Open(iv, aad, sealed, opened).ok();
  Bytes ours(msg.size() + crypto::kAeadTagBytes);
  KS_RETURN_IF_ERROR((*aead)->Seal(iv, aad, msg, ours));
  done.matches = done.accepted && opened == msg && ours == sealed;
  return done;
}

Judged CheckHkdf(const Case& c) {
  if (TextOr(c.root, "algorithm", "") != "HKDF-SHA-256") return Unsupported::kOtherHash;
  KS_ASSIGN_OR_RETURN(const Bytes ikm, HexField(c.test, "ikm"));
  KS_ASSIGN_OR_RETURN(const Bytes salt, HexField(c.test, "salt"));
  KS_ASSIGN_OR_RETURN(const Bytes info, HexField(c.test, "info"));
  KS_ASSIGN_OR_RETURN(const Bytes okm, HexField(c.test, "okm"));
  KS_ASSIGN_OR_RETURN(const int64_t size, IntField(c.test, "size"));
  if (size < 0) return Done{};
  const auto ours =
      crypto::HkdfExpand(crypto::HkdfExtract(ByteView(salt), ByteView(ikm)), ByteView(info), size);
  return Done{ours.ok(), ours.ok() && Equal(ours->ExposeSecret(), okm)};
}

Judged CheckHmac(const Case& c) {
  if (TextOr(c.root, "algorithm", "") != "HMACSHA256") return Unsupported::kOtherHash;
  KS_ASSIGN_OR_RETURN(const Bytes key, HexField(c.test, "key"));
  KS_ASSIGN_OR_RETURN(const Bytes msg, HexField(c.test, "msg"));
  KS_ASSIGN_OR_RETURN(const Bytes tag, HexField(c.test, "tag"));
  KS_ASSIGN_OR_RETURN(const int64_t tag_bits, IntField(c.group, "tagSize"));
  const Digest ours = crypto::HmacSha256(key, msg);
  if (tag_bits < 0 || tag_bits % 8 != 0 || tag_bits / 8 > static_cast<int64_t>(Digest::kSize)) {
    return absl::InvalidArgumentError("field tagSize is out of range");
  }
  const bool same = ConstantTimeEquals(ours.view().first(static_cast<size_t>(tag_bits / 8)), tag);
  return Done{same, same};
}

bool IsP256(std::string_view curve) {
  return curve == "secp256r1" || curve == "P-256" || curve == "prime256v1";
}

// SubjectPublicKeyInfo of an uncompressed point on the named curve P-256 (RFC 5480): one fixed prefix.
absl::StatusOr<Bytes> PointFromSpki(const Bytes& der) {
  static const Bytes prefix = *FromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
  if (der.size() != prefix.size() + crypto::kP256PointBytes ||
      !std::equal(prefix.begin(), prefix.end(), der.begin())) {
    return absl::InvalidArgumentError("not the SubjectPublicKeyInfo of a point on P-256");
  }
  return Bytes(der.begin() + static_cast<ptrdiff_t>(prefix.size()), der.end());
}

absl::StatusOr<Bytes> JwkNumber(const Json& jwk, std::string_view name) {
  KS_ASSIGN_OR_RETURN(const std::string text, TextField(jwk, name));
  return FromBase64Url(text);
}

absl::StatusOr<crypto::EcdhPublicKey> PeerFromJwk(const Json& jwk) {
  if (TextOr(jwk, "kty", "") != "EC" || TextOr(jwk, "crv", "") != "P-256") {
    return absl::InvalidArgumentError("JWK is not on P-256");
  }
  KS_ASSIGN_OR_RETURN(const Bytes x, JwkNumber(jwk, "x"));
  KS_ASSIGN_OR_RETURN(const Bytes y, JwkNumber(jwk, "y"));
  return crypto::EcdhPublicKey::FromXy(x, y);
}

Judged CheckEcdh(const Case& c) {
  const std::string algorithm = TextOr(c.root, "algorithm", "");
  if (algorithm != "ECDH" || !IsP256(TextOr(c.group, "curve", ""))) return Unsupported::kOtherCurve;
  const std::string encoding = TextOr(c.group, "encoding", "asn");
  if (encoding != "ecpoint" && encoding != "asn" && encoding != "webcrypto") return Unsupported::kKeyEncoding;
  KS_ASSIGN_OR_RETURN(const Bytes shared, HexField(c.test, "shared"));
  Bytes number;
  absl::StatusOr<crypto::EcdhPublicKey> peer = absl::InvalidArgumentError("");
  if (encoding == "webcrypto") {
    KS_ASSIGN_OR_RETURN(const Json* private_jwk, Field(c.test, "private"));
    KS_ASSIGN_OR_RETURN(number, JwkNumber(*private_jwk, "d"));
    KS_ASSIGN_OR_RETURN(const Json* public_jwk, Field(c.test, "public"));
    peer = PeerFromJwk(*public_jwk);
  } else {
    KS_ASSIGN_OR_RETURN(number, HexField(c.test, "private"));
    KS_ASSIGN_OR_RETURN(const Bytes encoded, HexField(c.test, "public"));
    const auto point = encoding == "asn" ? PointFromSpki(encoded) : absl::StatusOr<Bytes>(encoded);
    if (point.ok()) peer = crypto::EcdhPublicKey::FromPoint(*point);
  }
  const auto scalar = FixedSize(number, crypto::kP256ScalarBytes);
  if (!scalar.ok() || !peer.ok()) return Done{};
  const auto key = crypto::EcdhKeyPair::FromPrivateScalar(SecretBytes::CopyOf(*scalar));
  if (!key.ok()) return Done{};
  const auto ours = key->Agree(*peer);
  return Done{ours.ok(), ours.ok() && Equal(ours->ExposeSecret(), shared)};
}

Judged CheckEcdsa(const Case& c) {
  const Json* key = FindField(c.group, "publicKey");
  if (key == nullptr) key = FindField(c.group, "key");
  if (key == nullptr) return absl::InvalidArgumentError("field publicKey is missing");
  if (!IsP256(TextOr(*key, "curve", ""))) return Unsupported::kOtherCurve;
  if (TextOr(c.group, "sha", "") != "SHA-256") return Unsupported::kOtherHash;
  KS_ASSIGN_OR_RETURN(const Bytes point, HexField(*key, "uncompressed"));
  KS_ASSIGN_OR_RETURN(const Bytes msg, HexField(c.test, "msg"));
  KS_ASSIGN_OR_RETURN(const Bytes sig, HexField(c.test, "sig"));
  KS_ASSIGN_OR_RETURN(const auto public_key, crypto::EcdsaPublicKey::FromPoint(point));
  bool good = false;
  if (TextOr(c.group, "type", "") == "EcdsaP1363Verify") {
    good = public_key.Verify(msg, sig).ok();
  } else if (const auto raw = crypto::SignatureFromDer(sig); raw.ok()) {
    good = public_key.Verify(msg, *raw).ok();
  }
  return Done{good, good};
}

struct Kind {
  std::string_view type;
  Judged (*check)(const Case&);
};

Judged OtherCurve(const Case&) { return Unsupported::kOtherCurve; }

constexpr Kind kKinds[] = {
    {"AeadTest", CheckAead},          {"HkdfTest", CheckHkdf},
    {"MacTest", CheckHmac},           {"EcdhTest", CheckEcdh},
    {"EcdhEcpointTest", CheckEcdh},   {"EcdhWebcryptoTest", CheckEcdh},
    {"EcdhPemTest", CheckEcdh},       {"EcdsaVerify", CheckEcdsa},
    {"EcdsaP1363Verify", CheckEcdsa}, {"EcdsaBitcoinVerify", OtherCurve},
    {"EddsaVerify", OtherCurve},      {"XdhComp", OtherCurve},
    {"XdhAsnComp", OtherCurve},       {"XdhPemComp", OtherCurve},
    {"XdhJwkComp", OtherCurve},
};

const Kind* FindKind(const Json& group) {
  const std::string type = TextOr(group, "type", "");
  for (const Kind& kind : kKinds) {
    if (kind.type == type) return &kind;
  }
  return nullptr;
}

Outcome Judge(const Kind& kind, const Case& c) {
  KS_ASSIGN_OR_RETURN(const std::string result, TextField(c.test, "result"));
  KS_ASSIGN_OR_RETURN(const auto judged, kind.check(c));
  if (const Unsupported* reason = std::get_if<Unsupported>(&judged)) return *reason;
  const Done done = std::get<Done>(judged);
  if (result == "valid" && !done.accepted) return absl::InternalError("valid, but refused");
  if (result == "invalid" && done.accepted) return absl::InternalError("invalid, but accepted");
  if (result != "valid" && result != "invalid" && result != "acceptable") {
    return absl::InvalidArgumentError("field result is unknown");
  }
  if (result != "invalid" && done.accepted && !done.matches)
    return absl::InternalError("another value than expected");
  return kPassed;
}

}  // namespace

bool IsWycheproof(const Json& root) {
  const Json* const groups = FindField(root, "testGroups");
  if (groups == nullptr || !groups->is_array() || FindField(root, "algorithm") == nullptr) return false;
  return std::all_of(groups->begin(), groups->end(),
                     [](const Json& group) { return FindKind(group) != nullptr; });
}

Report CheckWycheproof(const Json& root) {
  Report report;
  for (const Json& group : *FindField(root, "testGroups")) {
    const Json* const tests = FindField(group, "tests");
    if (tests == nullptr || !tests->is_array()) {
      report.Add("group", absl::InvalidArgumentError("field tests is missing"));
      continue;
    }
    for (const Json& test : *tests) {
      const auto id = IntField(test, "tcId");
      report.Add(absl::StrCat("tcId ", id.ok() ? *id : -1), Judge(*FindKind(group), Case{root, group, test}));
    }
  }
  return report;
}

}  // namespace keystead::vectors
