// Tenants' certificate authorities, made in a process: what certs/make-pki does with the openssl command, for
// who needs thousands (tests, the load generator).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"

namespace keystead {

struct Authority {
  SecretBytes key_pem;  // PKCS #8
  std::string ca_pem;
};

// A new key on P-256 and a self-signed CA certificate over it: path length 1, critical name constraint on the
// tenant (RFC 5280, section 4.2.1.10). About 0.3 ms.
absl::StatusOr<Authority> MakeTenantAuthority(const TenantName& tenant, absl::Time not_after);

// The provider's CA over all tenants': no name constraint, path length 2.
absl::StatusOr<Authority> MakeAdmissionAuthority(absl::Time not_after);

// The admission CA's certificate over the key of `ca_pem`, with the same constraint. INVALID_ARGUMENT when
// one of them is malformed.
absl::StatusOr<std::string> CrossSign(const Authority& admission, std::string_view ca_pem,
                                      const TenantName& tenant, absl::Time not_after);

}  // namespace keystead
