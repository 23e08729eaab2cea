#include "core/identity/x509.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <climits>
#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace keystead::x509 {
namespace {

// Without a callback of our own OpenSSL would ask for the password of an encrypted key on the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

absl::StatusOr<BioPtr> ReadOnly(ByteView bytes) {
  if (bytes.size() > kMaxPemBytes) return absl::InvalidArgumentError("PEM text is longer than 1 MiB");
  BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  if (bio == nullptr) return absl::InternalError(absl::StrCat("no memory BIO: ", DrainErrors()));
  return bio;
}

const EVP_MD* Sha256Algorithm() {
  static const EVP_MD* const algorithm =
      EVP_MD_fetch(nullptr, "SHA256", nullptr);  // fetched once, kept for ever
  return algorithm;
}

}  // namespace

std::string DrainErrors() {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  const char* reason = first == 0 ? nullptr : ERR_reason_error_string(first);
  return reason == nullptr ? "no reason given" : reason;
}

absl::StatusOr<std::vector<X509Ptr>> ParseCertificates(std::string_view pem, size_t max) {
  ERR_clear_error();
  KS_ASSIGN_OR_RETURN(const BioPtr bio, ReadOnly(AsBytes(pem)));
  std::vector<X509Ptr> out;
  while (true) {
    X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
    if (certificate == nullptr) break;
    if (out.size() == max)
      return absl::InvalidArgumentError(absl::StrCat("more than ", max, " certificates"));
    out.push_back(std::move(certificate));
  }
  const unsigned long error = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const std::string reason = DrainErrors();
  if (!at_end) return absl::InvalidArgumentError(absl::StrCat("malformed certificate: ", reason));
  if (out.empty())
    return absl::InvalidArgumentError("no certificate in it; a PEM file with BEGIN CERTIFICATE is needed");
  return out;
}

absl::StatusOr<PkeyPtr> ParsePrivateKey(const SecretBytes& pem) {
  ERR_clear_error();
  KS_ASSIGN_OR_RETURN(const BioPtr bio, ReadOnly(pem.ExposeSecret()));
  PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) {
    DrainErrors();
    return absl::InvalidArgumentError(
        "no private key in it that can be read; a PEM file with one in PKCS#8, not encrypted, is needed");
  }
  return key;
}

absl::StatusOr<PkeyPtr> ParsePublicKey(std::string_view pem) {
  ERR_clear_error();
  KS_ASSIGN_OR_RETURN(const BioPtr bio, ReadOnly(AsBytes(pem)));
  PkeyPtr key(PEM_read_bio_PUBKEY(bio.get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) {
    DrainErrors();
    return absl::InvalidArgumentError("no public key in the PEM text");
  }
  return key;
}

bool IsP256(const EVP_PKEY* key) {
  char group[32] = {};
  size_t length = 0;
  return EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 &&
         std::string_view(group, length) == "prime256v1";
}

absl::StatusOr<std::string> PublicKeyToPem(EVP_PKEY* key) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (out == nullptr || PEM_write_bio_PUBKEY(out.get(), key) != 1)
    return absl::InternalError(absl::StrCat("public key: ", DrainErrors()));
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

absl::StatusOr<SecretBytes> PrivateKeyToPem(EVP_PKEY* key) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (out == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return absl::InternalError(absl::StrCat("private key: ", DrainErrors()));
  }
  char* data = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(out.get(), &data));
  SecretBytes pem = SecretBytes::CopyOf(AsBytes({data, size}));
  SecureWipe(data, size);
  return pem;
}

absl::StatusOr<crypto::EcdsaPublicKey> ToEcdsa(EVP_PKEY* public_key) {
  std::array<uint8_t, 65> point{};  // 04 ‖ x ‖ y (SEC 1, section 2.3.3)
  size_t size = 0;
  if (!IsP256(public_key) || EVP_PKEY_get_octet_string_param(public_key, OSSL_PKEY_PARAM_PUB_KEY,
                                                             point.data(), point.size(), &size) != 1) {
    DrainErrors();
    return absl::InvalidArgumentError("the key must be on P-256, its point uncompressed");
  }
  return crypto::EcdsaPublicKey::FromPoint({point.data(), size});
}

absl::StatusOr<crypto::EcdsaKeyPair> ToEcdsaPair(EVP_PKEY* private_key) {
  BIGNUM* number = nullptr;
  if (!IsP256(private_key) || EVP_PKEY_get_bn_param(private_key, OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1) {
    DrainErrors();
    return absl::InvalidArgumentError("the key must be on P-256");
  }
  std::array<uint8_t, 32> scalar{};
  const bool fits = BN_bn2binpad(number, scalar.data(), static_cast<int>(scalar.size())) >= 0;
  BN_clear_free(number);
  const SecretBytes secret = SecretBytes::CopyOf(scalar);
  SecureWipe(scalar.data(), scalar.size());
  if (!fits) return absl::InvalidArgumentError("the key must be on P-256");
  return crypto::EcdsaKeyPair::FromPrivateScalar(secret);
}

Digest Sha256(ByteView bytes) {
  std::array<uint8_t, Digest::kSize> out{};
  unsigned int size = 0;
  // Cannot fail for a fetched algorithm but by lack of memory, and then a zero digest matches no certificate.
  if (EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, Sha256Algorithm(), nullptr) != 1) out.fill(0);
  return Digest(out);
}

absl::StatusOr<Digest> Fingerprint(const X509* certificate) {
  std::array<uint8_t, Digest::kSize> out{};
  unsigned int size = 0;
  if (X509_digest(certificate, Sha256Algorithm(), out.data(), &size) != 1 || size != out.size()) {
    return absl::InternalError(absl::StrCat("certificate digest: ", DrainErrors()));
  }
  return Digest(out);
}

absl::StatusOr<Digest> KeyId(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return absl::InvalidArgumentError(absl::StrCat("public key: ", DrainErrors()));
  const Digest out = Sha256({der, static_cast<size_t>(size)});
  OPENSSL_free(der);
  return out;
}

absl::StatusOr<std::string> SerialHex(const X509* certificate) {
  const BignumPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (number == nullptr) return absl::InvalidArgumentError(absl::StrCat("serial number: ", DrainErrors()));
  // RFC 5280, section 4.1.2.2. A deny list names serials as plain hex and could not name a negative one.
  if (BN_is_negative(number.get()) != 0) return absl::InvalidArgumentError("serial number is negative");
  char* text = BN_bn2hex(number.get());
  if (text == nullptr) return absl::InternalError(absl::StrCat("serial number: ", DrainErrors()));
  std::string out = absl::AsciiStrToLower(text);
  OPENSSL_free(text);
  out.erase(0, std::min(out.find_first_not_of('0'), out.size() - 1));
  return out;
}

absl::StatusOr<absl::Time> ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    DrainErrors();
    return absl::InvalidArgumentError("malformed time in a certificate");
  }
  return absl::FromTM(parts, absl::UTCTimeZone());
}

absl::StatusOr<std::vector<std::string>> UriNames(const X509* certificate) {
  int critical = -1;
  const GeneralNamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  std::vector<std::string> out;
  if (names == nullptr) {
    DrainErrors();
    if (critical == -1) return out;  // the extension is absent
    return absl::InvalidArgumentError("malformed or repeated subject alternative names");
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    const std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                           static_cast<size_t>(ASN1_STRING_length(uri)));
    if (text.find('\0') != std::string::npos)
      return absl::InvalidArgumentError("URI with a NUL in a certificate");
    out.push_back(text);
  }
  return out;
}

bool IsCa(X509* certificate) { return X509_check_ca(certificate) != 0; }

bool IsSignedBy(X509* certificate, EVP_PKEY* issuer_key) {
  ERR_clear_error();
  const bool good = X509_verify(certificate, issuer_key) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace keystead::x509
