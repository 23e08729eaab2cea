#include "tests/vectors/key_files.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace keystead::vectors {
namespace {

constexpr uint8_t kInteger = 0x02;
constexpr uint8_t kOctets = 0x04;
constexpr uint8_t kSequence = 0x30;
constexpr uint8_t kParameters = 0xa0;  // [0], of RFC 5915
constexpr uint8_t kPublicKey = 0xa1;   // [1], of RFC 5915

absl::Status Malformed() { return absl::InvalidArgumentError("not a key on P-256 in DER"); }

// Takes one element with this tag off the front; lengths up to 255, as the keys of this file need.
absl::StatusOr<ByteView> Take(ByteView& der, uint8_t tag) {
  if (der.size() < 2 || der[0] != tag) return Malformed();
  size_t head = 2;
  size_t size = der[1];
  if (size == 0x81 && der.size() > 2 && der[2] >= 0x80) {
    size = der[2];
    head = 3;
  } else if (size >= 0x80) {
    return Malformed();
  }
  if (der.size() < head + size) return Malformed();
  const ByteView value = der.subspan(head, size);
  der = der.subspan(head + size);
  return value;
}

// SEQUENCE { id-ecPublicKey, prime256v1 }
const Bytes& AlgorithmP256() {
  static const Bytes algorithm = *FromHex("301306072a8648ce3d020106082a8648ce3d030107");
  return algorithm;
}

bool TakeExactly(ByteView& der, ByteView prefix) {
  if (der.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), der.begin())) return false;
  der = der.subspan(prefix.size());
  return true;
}

}  // namespace

absl::StatusOr<bool> IsP256(std::string_view curve) {
  if (curve == "secp256r1" || curve == "P-256" || curve == "prime256v1") return true;
  static constexpr std::array<std::string_view, 11> kOtherFamilies = {
      "secp", "sect", "brainpool", "prime", "P-", "FRP", "c2", "curve25519", "curve448", "edwards", "wei"};
  for (const std::string_view family : kOtherFamilies) {
    if (curve.starts_with(family)) return false;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown curve \"", Absl(curve), "\""));
}

absl::StatusOr<Bytes> PointFromSpki(ByteView der) {
  KS_ASSIGN_OR_RETURN(ByteView spki, Take(der, kSequence));
  if (!der.empty() || !TakeExactly(spki, AlgorithmP256())) return Malformed();
  // BIT STRING of 66 bytes, none of its bits unused
  static constexpr uint8_t kBits[] = {0x03, 0x42, 0x00};
  if (!TakeExactly(spki, kBits) || spki.size() != crypto::kP256PointBytes) return Malformed();
  return ToBytes(spki);
}

absl::StatusOr<Bytes> ScalarFromPkcs8(ByteView der) {
  KS_ASSIGN_OR_RETURN(ByteView info, Take(der, kSequence));
  KS_ASSIGN_OR_RETURN(const ByteView version, Take(info, kInteger));
  if (!der.empty() || version.size() != 1 || !TakeExactly(info, AlgorithmP256())) return Malformed();
  KS_ASSIGN_OR_RETURN(ByteView octets, Take(info, kOctets));
  KS_ASSIGN_OR_RETURN(ByteView key, Take(octets, kSequence));
  KS_ASSIGN_OR_RETURN(const ByteView one, Take(key, kInteger));
  if (!octets.empty() || one.size() != 1 || one[0] != 1) return Malformed();
  KS_ASSIGN_OR_RETURN(const ByteView scalar, Take(key, kOctets));
  for (const uint8_t optional : {kParameters, kPublicKey}) {
    if (!key.empty() && key[0] == optional) KS_RETURN_IF_ERROR(Take(key, optional).status());
  }
  if (!key.empty()) return Malformed();
  return ToBytes(scalar);
}

absl::StatusOr<Bytes> DerFromPem(std::string_view pem, std::string_view label) {
  const std::string begin = "-----BEGIN " + std::string(label) + "-----";
  const std::string end = "-----END " + std::string(label) + "-----";
  const size_t from = pem.find(begin);
  const size_t to = pem.find(end);
  if (from == std::string_view::npos || to == std::string_view::npos || to < from + begin.size()) {
    return absl::InvalidArgumentError("not PEM with the expected label");
  }
  std::string digits(pem.substr(from + begin.size(), to - from - begin.size()));
  std::erase_if(digits, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  return FromBase64Url(digits);
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

}  // namespace keystead::vectors
