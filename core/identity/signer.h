// Identities that sign statements instead of connections, such as a provider's audit key: loaded with their
// private key, and verified offline from the certificates that travel with what they signed.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/crypto/p256.h"
#include "core/identity/spiffe_id.h"

namespace keystead {

struct SigningIdentity {
  SpiffeId id;
  std::string chain_pem;  // leaf first
  crypto::EcdsaKeyPair key;
};

// From the two files that were issued together. Errors are those of ValidateCertificateFiles.
absl::StatusOr<SigningIdentity> LoadSigningIdentity(const std::string& chain_file,
                                                    const std::string& key_file, absl::Time now);

struct Signer {
  SpiffeId id;
  crypto::EcdsaPublicKey key;
};

// Whose key the leaf in `chain_pem` certifies, if a path leads from it to one of `roots_pem` (RFC 5280,
// section 6, name constraints included) and all of it was valid at `at`. UNAUTHENTICATED: there is no such
// path; INVALID_ARGUMENT: malformed, no key on P-256, or not exactly one SPIFFE id. Knows of no revocation.
absl::StatusOr<Signer> VerifySigner(std::string_view chain_pem, std::string_view roots_pem, absl::Time at);

}  // namespace keystead
