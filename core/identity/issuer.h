// Issuing leaves under a tenant's or the provider's CA. Used by keystead-issue (certs/) and by enrollment.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/secret_bytes.h"
#include "core/identity/spiffe_id.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY, which this header does not include

namespace keystead {

struct LeafRequest {
  SpiffeId id;
  absl::Time not_before;
  absl::Time not_after;
  bool server = false;                 // adds extended key usage serverAuth
  std::vector<std::string> dns_names;  // subject alternative names beside the URI
  std::vector<std::string> ip_addresses;
  std::vector<std::string> further_uris;  // what no honest issuer adds: for tests of those who verify
};

struct IssuedLeaf {
  SecretBytes key_pem;    // PKCS #8; empty from IssueFor
  std::string chain_pem;  // leaf, then what is above it
  std::string serial;     // of the leaf, lower-case hex
};

// Holds one CA key in memory. Thread-compatible.
class CertificateIssuer {
 public:
  // From PEM texts. `above_pem` is appended to each chain, at most four certificates of which the first is
  // over the CA's key: the cross-certificate of a tenant's CA; or an enrollment CA and what is above it. May
  // be empty. INVALID_ARGUMENT when malformed, FAILED_PRECONDITION when the key does not belong to the
  // certificate.
  static absl::StatusOr<CertificateIssuer> Create(std::string_view ca_pem, const SecretBytes& ca_key_pem,
                                                  std::string_view above_pem);
  // The same from files; `above` may be empty. Errors name the file.
  struct Files {
    std::string ca;
    std::string key;
    std::string above;
  };
  static absl::StatusOr<CertificateIssuer> Load(const Files& files);
  CertificateIssuer(CertificateIssuer&&) noexcept;
  CertificateIssuer& operator=(CertificateIssuer&&) noexcept;
  ~CertificateIssuer();

  // A new P-256 key and a certificate for it, with a random 127-bit serial number. About 0.1 ms.
  absl::StatusOr<IssuedLeaf> Issue(const LeafRequest& request) const;
  // A certificate for a key that stays with the peer: its SubjectPublicKeyInfo in PEM, P-256 only.
  absl::StatusOr<IssuedLeaf> IssueFor(const LeafRequest& request, std::string_view public_key_pem) const;

  // Whether the first certificate in `chain_pem` bears this CA's signature.
  bool HasIssued(std::string_view chain_pem) const;

 private:
  absl::StatusOr<IssuedLeaf> IssueOver(const LeafRequest& request, evp_pkey_st* subject_key) const;
  struct State;
  explicit CertificateIssuer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace keystead
