// Where the keys of tenants live: outside of the store and of its backups, so that to destroy a key is to
// erase, in every copy, what was stored under it. docs/decisions/0027-encryption-at-rest.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"

namespace keystead::backend::at_rest {

inline constexpr size_t kDerivedKeyBytes = 32;
inline constexpr uint32_t kMaxKeyVersions = 1000;  // of one tenant

// What the keys of a part of a tenant's data, such as one instantiation's, depend on beside the tenant's key.
// All zero: what belongs to the tenant as a whole.
struct CompartmentTag {
  static constexpr std::string_view kName = "compartment id";
};
using CompartmentId = FixedBytes<CompartmentTag, 8>;

// Thread-safe. Every change is durable when it returns. May block on a disk or a device.
class KeyStore {
 public:
  virtual ~KeyStore() = default;

  // Makes the first version of the tenant's key. ALREADY_EXISTS: something of that number is there, or was
  // destroyed: a number is given once, whatever the store says of it that may be older than the keystore.
  virtual absl::Status Create(uint32_t tenant) = 0;
  // The version that new data are encrypted under, from 1. NOT_FOUND: the tenant has no key, or none any
  // more.
  virtual absl::StatusOr<uint32_t> CurrentVersion(uint32_t tenant) const = 0;
  // Makes another version. The earlier ones stay, for what was encrypted under them. RESOURCE_EXHAUSTED:
  // there are kMaxKeyVersions.
  virtual absl::StatusOr<uint32_t> Rotate(uint32_t tenant) = 0;
  // A key of 32 bytes from a version of the tenant's: HMAC-SHA-256 over `info` (NIST SP 800-108r1,
  // section 4.1, with one block). The tenant's key itself does not leave the keystore. NOT_FOUND: there is no
  // such version.
  virtual absl::StatusOr<SecretBytes> Derive(uint32_t tenant, uint32_t version, ByteView info) const = 0;
  // Every version, and the salts of all compartments. OK also when there was none.
  virtual absl::Status Destroy(uint32_t tenant) = 0;

  // A random value that the keys of a compartment depend on; made when it is first asked for with `create`.
  // NOT_FOUND: there is none, or none any more.
  virtual absl::StatusOr<SecretBytes> Salt(uint32_t tenant, const CompartmentId& compartment,
                                           bool create) = 0;
  virtual absl::Status DestroySalt(uint32_t tenant, const CompartmentId& compartment) = 0;
};

// The bytes that Derive puts under HMAC, for whoever implements it: counter, info, length in bits.
Bytes DerivationInput(ByteView info);

}  // namespace keystead::backend::at_rest
