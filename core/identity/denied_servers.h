// What a client does about a server whose certificate was revoked: it has a deny list of its own, which comes
// with the product's roots or its updates. Nobody is asked while connecting, so there is nobody to withhold
// the answer. docs/decisions/0047-revoked-servers.md.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/identity/spiffe_id.h"

namespace keystead {

// Whether the server `id`, whose certificate TLS has verified, stands on the deny list in the file `path`.
// `chain_pem`: all that it sent; for entries that are about an issuer. PERMISSION_DENIED: it does.
// INVALID_ARGUMENT, NOT_FOUND: the file or a certificate cannot be read; the server is then to be refused as
// well.
absl::Status CheckServerIsNotDenied(const std::string& path, const SpiffeId& id, std::string_view leaf_pem,
                                    std::string_view chain_pem);

// What CheckServerIsNotDenied would say of the file, whoever the server is.
absl::Status CheckDeniedServersFile(const std::string& path);

}  // namespace keystead
