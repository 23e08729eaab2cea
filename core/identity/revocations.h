// Which certificates of a tenant count no longer, as the tenant's own word: a deny list with a number, signed
// with the key of the tenant's CA, which lies with the tenant (docs/decisions/0026). A provider can neither
// make one nor change one; that it keeps the newest back is what the number and the long poll of gateways
// bound.
//
//   COSE_Sign1 of typ "ks1/revocations", no external AAD, over CBOR [number, tenant, text]
//
// The text is a whole deny list (deny_list_text.h) about this tenant: what an older one said counts no
// longer.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"
#include "core/identity/principal.h"

namespace keystead {

inline constexpr size_t kMaxRevocationBytes = 1 << 20;  // of an object: some 20000 serial numbers

struct Revocations {
  uint64_t number = 0;  // from 1; never goes back
  TenantName tenant;
  std::string text;
  DenyList::Entries entries;  // what the text says; Sign does not look at it
};

// INVALID_ARGUMENT when the text is no deny list of this tenant alone, the number is 0, or the object would
// be larger than the limit; when the key is none. Does not know whose key it is.
absl::StatusOr<Bytes> SignRevocations(const Revocations& revocations, const SecretBytes& ca_key_pem);

// What an object says, whoever made it. INVALID_ARGUMENT for anything but the above.
absl::StatusOr<Revocations> ReadRevocations(ByteView object);

// The same of one that a registered CA key of the tenant it names has signed, otherwise UNAUTHENTICATED.
absl::StatusOr<Revocations> OpenRevocations(ByteView object, const TenantDirectory& directory);

}  // namespace keystead
