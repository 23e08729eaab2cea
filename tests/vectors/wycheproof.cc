#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/crypto/evp_aead.h"
#include "core/crypto/evp_hash.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/p256.h"
#include "tests/vectors/formats.h"
#include "tests/vectors/hash_names.h"
#include "tests/vectors/key_files.h"

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
  KS_ASSIGN_OR_RETURN(const int64_t tag_bits, IntField(c.group, "tagSize"));
  // Every published file of these two algorithms has whole tags.
  if (tag_bits != 128) return absl::InvalidArgumentError("field tagSize is not 128");
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

// "HKDF-SHA-256" without "HKDF-", "HMACSHA256" without "HMAC": null when that names no hash.
const HashName* HashOf(const Json& root, std::string_view prefix) {
  const std::string algorithm = TextOr(root, "algorithm", "");
  if (!algorithm.starts_with(prefix)) return nullptr;
  return FindHash(std::string_view(algorithm).substr(prefix.size()));
}
constexpr std::string_view kHkdf = "HKDF-";
constexpr std::string_view kHmac = "HMAC";

absl::StatusOr<SecretBytes> Hkdf(const HashName& hash, const Bytes& salt, const Bytes& ikm, const Bytes& info,
                                 size_t size) {
  if (IsSha256(hash)) {
    return crypto::HkdfExpand(crypto::HkdfExtract(ByteView(salt), ByteView(ikm)), ByteView(info), size);
  }
  KS_ASSIGN_OR_RETURN(const SecretBytes prk, crypto::EvpHkdfExtract(hash.openssl, salt, ikm));
  return crypto::EvpHkdfExpand(hash.openssl, prk, info, size);
}

Judged CheckHkdf(const Case& c) {
  const HashName& hash = *HashOf(c.root, kHkdf);
  KS_ASSIGN_OR_RETURN(const Bytes ikm, HexField(c.test, "ikm"));
  KS_ASSIGN_OR_RETURN(const Bytes salt, HexField(c.test, "salt"));
  KS_ASSIGN_OR_RETURN(const Bytes info, HexField(c.test, "info"));
  KS_ASSIGN_OR_RETURN(const Bytes okm, HexField(c.test, "okm"));
  KS_ASSIGN_OR_RETURN(const int64_t size, IntField(c.test, "size"));
  if (size < 0) return absl::InvalidArgumentError("field size is negative");
  const auto ours = Hkdf(hash, salt, ikm, info, static_cast<size_t>(size));
  return Done{ours.ok(), ours.ok() && Equal(ours->ExposeSecret(), okm)};
}

Judged CheckHmac(const Case& c) {
  const HashName& hash = *HashOf(c.root, kHmac);
  KS_ASSIGN_OR_RETURN(const Bytes key, HexField(c.test, "key"));
  KS_ASSIGN_OR_RETURN(const Bytes msg, HexField(c.test, "msg"));
  KS_ASSIGN_OR_RETURN(const Bytes tag, HexField(c.test, "tag"));
  KS_ASSIGN_OR_RETURN(const int64_t tag_bits, IntField(c.group, "tagSize"));
  Bytes ours;
  if (IsSha256(hash)) {
    ours = ToBytes(crypto::HmacSha256(key, msg).view());
  } else {
    KS_ASSIGN_OR_RETURN(const SecretBytes whole, crypto::EvpHmac(hash.openssl, key, msg));
    ours = ToBytes(whole.ExposeSecret());
  }
  // A tag may be cut (RFC 2104, section 5), never to nothing.
  if (tag_bits <= 0 || tag_bits % 8 != 0 || tag_bits / 8 > static_cast<int64_t>(ours.size())) {
    return absl::InvalidArgumentError("field tagSize is out of range");
  }
  const bool same = ConstantTimeEquals(ByteView(ours).first(static_cast<size_t>(tag_bits / 8)), tag);
  return Done{same, same};
}

// The two keys of an ECDH vector. An error: the file lacks something. A key that is there and no good is an
// error inside.
struct EcdhKeys {
  absl::StatusOr<Bytes> scalar = absl::InvalidArgumentError("");
  absl::StatusOr<crypto::EcdhPublicKey> peer = absl::InvalidArgumentError("");
};

absl::StatusOr<crypto::EcdhPublicKey> PeerFromPoint(const absl::StatusOr<Bytes>& point) {
  if (!point.ok()) return point.status();
  return crypto::EcdhPublicKey::FromPoint(*point);
}

absl::StatusOr<EcdhKeys> ReadKeys(const Case& c) {
  EcdhKeys out;
  KS_ASSIGN_OR_RETURN(const std::string encoding, TextField(c.group, "encoding"));
  if (encoding == "webcrypto") {
    KS_ASSIGN_OR_RETURN(const Json* private_jwk, Field(c.test, "private"));
    KS_ASSIGN_OR_RETURN(const Json* public_jwk, Field(c.test, "public"));
    if (!private_jwk->is_object() || !public_jwk->is_object()) {
      return absl::InvalidArgumentError("key is no JWK");
    }
    out.scalar = JwkNumber(*private_jwk, "d");
    out.peer = PeerFromJwk(*public_jwk);
  } else if (encoding == "pem") {
    KS_ASSIGN_OR_RETURN(const std::string private_pem, TextField(c.test, "private"));
    KS_ASSIGN_OR_RETURN(const std::string public_pem, TextField(c.test, "public"));
    const auto private_der = DerFromPem(private_pem, "PRIVATE KEY");
    const auto public_der = DerFromPem(public_pem, "PUBLIC KEY");
    if (!private_der.ok() || !public_der.ok()) return absl::InvalidArgumentError("key is no PEM");
    out.scalar = ScalarFromPkcs8(*private_der);
    out.peer = PeerFromPoint(PointFromSpki(*public_der));
  } else if (encoding == "ecpoint" || encoding == "asn") {
    KS_ASSIGN_OR_RETURN(out.scalar, NumberField(c.test, "private"));
    KS_ASSIGN_OR_RETURN(const Bytes encoded, HexField(c.test, "public"));
    out.peer = PeerFromPoint(encoding == "asn" ? PointFromSpki(encoded) : absl::StatusOr<Bytes>(encoded));
  } else {
    return absl::InvalidArgumentError("field encoding is unknown");
  }
  return out;
}

Judged CheckEcdh(const Case& c) {
  KS_ASSIGN_OR_RETURN(const std::string curve, TextField(c.group, "curve"));
  KS_ASSIGN_OR_RETURN(const bool supported, IsP256(curve));
  if (!supported) return Unsupported::kOtherCurve;
  KS_ASSIGN_OR_RETURN(const Bytes shared, HexField(c.test, "shared"));
  KS_ASSIGN_OR_RETURN(const EcdhKeys keys, ReadKeys(c));
  if (!keys.scalar.ok() || !keys.peer.ok()) return Done{};
  const auto scalar = FixedSize(*keys.scalar, crypto::kP256ScalarBytes);
  if (!scalar.ok()) return Done{};
  const auto key = crypto::EcdhKeyPair::FromPrivateScalar(SecretBytes::CopyOf(*scalar));
  if (!key.ok()) return Done{};
  const auto ours = key->Agree(*keys.peer);
  return Done{ours.ok(), ours.ok() && Equal(ours->ExposeSecret(), shared)};
}

absl::StatusOr<bool> Verifies(const crypto::EcdsaPublicKey& key, const HashName& hash, const Bytes& msg,
                              ByteView signature) {
  if (IsSha256(hash)) return key.Verify(msg, signature).ok();
  KS_ASSIGN_OR_RETURN(const Bytes digest, crypto::EvpHash(hash.openssl, msg, hash.xof_bytes));
  return crypto::EvpVerify(key, digest, signature).ok();
}

Judged CheckEcdsa(const Case& c) {
  const Json* key = FindField(c.group, "publicKey");
  if (key == nullptr) key = FindField(c.group, "key");
  if (key == nullptr) return absl::InvalidArgumentError("field publicKey is missing");
  KS_ASSIGN_OR_RETURN(const std::string curve, TextField(*key, "curve"));
  KS_ASSIGN_OR_RETURN(const bool supported, IsP256(curve));
  if (!supported) return Unsupported::kOtherCurve;
  KS_ASSIGN_OR_RETURN(const std::string sha, TextField(c.group, "sha"));
  const HashName* const hash = FindHash(sha);
  if (hash == nullptr) return absl::InvalidArgumentError("field sha names no hash");
  KS_ASSIGN_OR_RETURN(const Bytes point, HexField(*key, "uncompressed"));
  KS_ASSIGN_OR_RETURN(const Bytes msg, HexField(c.test, "msg"));
  KS_ASSIGN_OR_RETURN(const Bytes sig, HexField(c.test, "sig"));
  KS_ASSIGN_OR_RETURN(const auto public_key, crypto::EcdsaPublicKey::FromPoint(point));
  bool good = false;
  if (TextOr(c.group, "type", "") == "EcdsaP1363Verify") {
    KS_ASSIGN_OR_RETURN(good, Verifies(public_key, *hash, msg, sig));
  } else if (const auto raw = crypto::SignatureFromDer(sig); raw.ok()) {
    KS_ASSIGN_OR_RETURN(good, Verifies(public_key, *hash, msg, *raw));
  }
  return Done{good, good};
}

struct Kind {
  std::string_view type;
  Judged (*check)(const Case&);
};

Judged OtherCurve(const Case&) { return Unsupported::kOtherCurve; }

constexpr Kind kKinds[] = {
    {"AeadTest", CheckAead},
    {"HkdfTest", CheckHkdf},
    {"MacTest", CheckHmac},
    {"EcdhTest", CheckEcdh},
    {"EcdhTest", CheckEcdh},
    {"EcdhEcpointTest", CheckEcdh},
    {"EcdhWebcryptoTest", CheckEcdh},
    {"EcdhPemTest", CheckEcdh},
    {"EcdsaVerify", CheckEcdsa},
    {"EcdsaP1363Verify", CheckEcdsa},
    {"EcdsaBitcoinVerify", OtherCurve},
    {"EddsaVerify", OtherCurve},
    {"XdhComp", OtherCurve},
    {"XdhAsnComp", OtherCurve},
    {"XdhPemComp", OtherCurve},
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
  return std::all_of(groups->begin(), groups->end(), [&root](const Json& group) {
    const Kind* const kind = FindKind(group);
    if (kind == nullptr) return false;
    // MacTest is also the form of CMAC, KMAC and SipHash, which nothing here computes.
    if (kind->check == CheckHmac) return HashOf(root, kHmac) != nullptr;
    return kind->check != CheckHkdf || HashOf(root, kHkdf) != nullptr;
  });
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
