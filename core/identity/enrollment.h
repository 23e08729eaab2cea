// Enrollment: how a product gets a short-lived operational certificate with the factory identity that its
// maker gave it (docs/decisions/0025). The request proves itself, so that any hop may carry it.
//
// A factory certificate names spiffe://<tenant>/factory/<role>.<id> and is issued by the tenant's CA itself;
// <role> is device or gateway. The proof is a COSE_Sign1 of type "ks1/enroll" by its key over a PKCS #10
// request (RFC 2986) of the new key, with the SHA-256 of the factory certificate as external AAD. Of the PKCS
// #10 request only the key counts.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"
#include "core/identity/certificate_files.h"
#include "core/identity/principal.h"
#include "core/identity/spiffe_id.h"

namespace keystead {

inline constexpr size_t kMaxFactoryChainBytes = 8 << 10;
inline constexpr size_t kMaxEnrollmentProofBytes = 4 << 10;

// Whom a factory identity may become: device/bulb-1 for factory/device.bulb-1. INVALID_ARGUMENT for any
// other.
absl::StatusOr<SpiffeId> EnrolleeOf(const SpiffeId& factory);

struct EnrollmentRequest {
  std::string factory_chain;  // PEM, the factory certificate first
  Bytes proof;
};

// The product's side: a fresh key and the request for its certificate.
struct PreparedEnrollment {
  EnrollmentRequest request;
  SecretBytes key_pem;  // PKCS #8; belongs to the chain that comes back
  SpiffeId enrollee;
};
// Errors are those of ValidateCertificateFiles (`factory.roots` is not looked at), and INVALID_ARGUMENT when
// the certificate is no factory identity.
absl::StatusOr<PreparedEnrollment> PrepareEnrollment(const CertificateFiles& factory, absl::Time now);

// Whether the chain that came back is what was asked for: for this name and this key, and issued under the
// tenant's CA, which is the one that issued the factory certificate. Whoever carried the request saw the new
// key and could have put a chain of his own making in place of the answer. The statuses of
// ValidateCertificatePair; UNAUTHENTICATED when the tenant's CA does not stand behind it.
absl::StatusOr<CertificateInfo> CheckEnrolled(const PreparedEnrollment& prepared, std::string_view chain_pem,
                                              absl::Time now);

// The issuer's side.
struct Enrollee {
  SpiffeId id;
  std::string public_key_pem;
  std::shared_ptr<const Principal> factory;
};
// INVALID_ARGUMENT for a malformed request. UNAUTHENTICATED when the factory certificate is not one of its
// tenant's own CA, has expired or is denied, or when a signature is not right; each is reported as a security
// event. Costs two ECDSA verifications, four for a factory identity that was not seen before.
absl::StatusOr<Enrollee> VerifyEnrollment(const EnrollmentRequest& request,
                                          const PrincipalResolver& resolver);

}  // namespace keystead
