// What a provider signs when it has erased a tenant, or one instantiation of it. The payload, deterministic
// CBOR, as COSE_Sign1 of typ "ks1/erased" by spiffe://<provider>/service/audit:
//
//   [ tenant, number, instantiation or h'', when (µs since 1970), groups, bytes ]
//
// and the file in which it is kept, which needs nobody to be verified but the provider's CA:
//
//   [ "ks1 erasure-receipt", certificates of the signer (PEM, text), receipt (byte string) ]
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/identity/spiffe_id.h"

namespace keystead::audit {

inline constexpr std::string_view kReceiptTyp = "ks1/erased";
inline constexpr size_t kMaxReceiptBytes = 2048;
inline constexpr size_t kMaxReceiptFileBytes = 80 << 10;

struct Receipt {
  TenantName tenant;
  uint64_t number = 0;                           // the tenant's in that store
  std::optional<InstantiationId> instantiation;  // none: the whole tenant
  absl::Time erased;
  uint64_t groups = 0;  // what it had stored
  uint64_t bytes = 0;
};

Bytes EncodeReceipt(const Receipt& receipt);  // the payload
Bytes EncodeReceiptFile(std::string_view chain_pem, ByteView receipt);

// The receipt, if a key signed it that the provider's CA had certified for audit logs when it was erased.
// INVALID_ARGUMENT: no such file; UNAUTHENTICATED: says in words what is wrong.
struct VerifiedReceipt {
  Receipt receipt;
  SpiffeId signer;
};
absl::StatusOr<VerifiedReceipt> VerifyReceiptFile(ByteView file, std::string_view provider_ca_pem);

}  // namespace keystead::audit
