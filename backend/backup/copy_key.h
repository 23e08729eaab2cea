// Who made a backup: the holder of the tenant's key in the keystore, and nobody else.
#pragma once

#include "absl/status/statusor.h"
#include "backend/at_rest/keystore.h"
#include "core/base/ids.h"

namespace keystead::backend {

// HMAC-SHA-256 over the digest of a backup, under a key of the tenant's first version, which lives as long as
// the tenant. NOT_FOUND: there is no such key, or none any more.
absl::StatusOr<Digest> MacOfBackup(const at_rest::KeyStore& keys, uint32_t tenant, const Digest& digest);

}  // namespace keystead::backend
