// Internal to core/identity: the few things we ask of a certificate, with statuses instead of error queues.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/p256.h"
#include "core/identity/openssl_handles.h"

namespace keystead {

class PublicKey {
 public:
  explicit PublicKey(PkeyPtr key) : key_(std::move(key)) {}
  EVP_PKEY* get() const { return key_.get(); }

 private:
  PkeyPtr key_;
};

namespace x509 {

inline constexpr size_t kMaxPemBytes = 1 << 20;

// "name: reason of the oldest queued error"; empties the queue.
std::string DrainErrors();

// Every certificate of a PEM text in order; other blocks are skipped. INVALID_ARGUMENT for a malformed block,
// for more than `max`, or for none.
absl::StatusOr<std::vector<X509Ptr>> ParseCertificates(std::string_view pem, size_t max);
// INVALID_ARGUMENT unless an unencrypted private key. Never asks for a password.
absl::StatusOr<PkeyPtr> ParsePrivateKey(const SecretBytes& pem);
absl::StatusOr<PkeyPtr> ParsePublicKey(std::string_view pem);
bool IsP256(const EVP_PKEY* key);
absl::StatusOr<std::string> PublicKeyToPem(EVP_PKEY* key);
absl::StatusOr<SecretBytes> PrivateKeyToPem(EVP_PKEY* key);  // PKCS #8, not encrypted
// The same keys in the form that core/crypto works with. INVALID_ARGUMENT unless on P-256.
absl::StatusOr<crypto::EcdsaPublicKey> ToEcdsa(EVP_PKEY* public_key);
absl::StatusOr<crypto::EcdsaKeyPair> ToEcdsaPair(EVP_PKEY* private_key);

Digest Sha256(ByteView bytes);
absl::StatusOr<Digest> Fingerprint(const X509* certificate);  // SHA-256 of the DER
absl::StatusOr<Digest> KeyId(EVP_PKEY* key);                  // SHA-256 of the SubjectPublicKeyInfo
// Lower-case, no leading zeros. INVALID_ARGUMENT when it is negative.
absl::StatusOr<std::string> SerialHex(const X509* certificate);
absl::StatusOr<absl::Time> ToTime(const ASN1_TIME* time);
// The URI subject alternative names. INVALID_ARGUMENT when one holds a NUL or the extension is there twice or
// malformed.
absl::StatusOr<std::vector<std::string>> UriNames(const X509* certificate);
bool IsCa(X509* certificate);
bool IsSignedBy(X509* certificate, EVP_PKEY* issuer_key);

}  // namespace x509
}  // namespace keystead
