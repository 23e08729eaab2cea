// A program's own certificate files: looked at before anything is started, and replaced so that a running
// server never sees half of a change.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"
#include "core/identity/spiffe_id.h"

namespace keystead {

struct CertificateFiles {
  std::string chain;  // PEM: leaf first, then what the peer needs to reach its root (the cross-certificate)
  std::string key;    // PEM, PKCS #8, P-256, unencrypted, mode 0600
  std::string roots;  // PEM bundle of the CAs that peers are verified against
  // Servers that are refused although their certificates are good, as core/identity/deny_list_text.h has it;
  // lines without a tenant are about the server's own. Clients look at it in every handshake. Empty: none.
  std::string denied_servers{};
};

struct CertificateInfo {
  SpiffeId id;
  Digest fingerprint;  // SHA-256 of the leaf in DER
  std::string serial;  // lower-case hex
  absl::Time not_before;
  absl::Time not_after;
};

// Reads and checks the three files. One-line errors that name the file: NOT_FOUND missing; PERMISSION_DENIED
// unreadable, or a key that others than its owner can reach; INVALID_ARGUMENT malformed, or no or more than
// one URI SAN, or not a SPIFFE id; FAILED_PRECONDITION expired, not yet valid, or the key does not match the
// certificate. Does not verify the chain: the peer does.
absl::StatusOr<CertificateInfo> ValidateCertificateFiles(const CertificateFiles& files, absl::Time now);

// The same for PEM texts that are not files yet.
absl::StatusOr<CertificateInfo> ValidateCertificatePair(std::string_view chain_pem,
                                                        const SecretBytes& key_pem, absl::Time now);

// When the first certificate of a PEM chain ends that does. INVALID_ARGUMENT when it holds none or a
// malformed one.
absl::StatusOr<absl::Time> EarliestExpiry(std::string_view chain_pem);

// Replaces files.key and files.chain: writes both to temporary names beside them (key 0600), validates the
// pair, syncs and renames, key first. A reader that opens the two between the renames sees a pair that does
// not match; gRPC's watcher reads again when a file changed under it, and once a second anyway. After an
// error before the first rename the old pair is untouched.
absl::Status InstallCertificatePair(const CertificateFiles& files, std::string_view chain_pem,
                                    const SecretBytes& key_pem, absl::Time now);

// Replaces files.roots in the same way. INVALID_ARGUMENT when `roots_pem` holds no certificate or a malformed
// one.
absl::Status InstallRoots(const CertificateFiles& files, std::string_view roots_pem);

}  // namespace keystead
