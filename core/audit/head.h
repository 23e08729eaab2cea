// What the provider says of a tenant's log at a moment. The payload, deterministic CBOR:
//
//   [ tenant, first, before, count, head, time, chain ]
//     first   sequence of the first entry that is still kept
//     before  hash of the one before it; zero where first is 0
//     count   entries kept: first … first + count - 1
//     head    hash of the last; `before` where count is 0
//     time    microseconds since 1970
//     chain   SHA-256 of the PEM text with the signer's certificates
//
// It travels as COSE_Sign1, typ "ks1/audit-head" (core/membership/signed_object.h), with the tenant in its
// external AAD. The signer is spiffe://<provider>/service/audit.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/identity/signer.h"

namespace keystead::audit {

inline constexpr std::string_view kHeadKind = "audit-head";
inline constexpr std::string_view kSignerName = "audit";  // of role service

struct Head {
  TenantName tenant;  // or the provider's own name, for its own log
  uint64_t first = 0;
  Digest before;
  uint64_t count = 0;
  Digest head;
  absl::Time time;
  Digest chain;

  uint64_t end() const { return first + count; }  // the sequence after the last
};

// FAILED_PRECONDITION: the identity is not a provider's audit key. `head.chain` is filled in.
absl::StatusOr<Bytes> SignHead(const SigningIdentity& signer, Head head);

// The payload without any verification: to learn where and when it claims to be from.
absl::StatusOr<Head> UnverifiedHead(ByteView signed_head);

// The head, if a key signed it that the provider's CA had certified for audit logs at the time in the head.
// UNAUTHENTICATED and INVALID_ARGUMENT say in words what is wrong.
struct VerifiedHead {
  Head head;
  SpiffeId signer;
};
absl::StatusOr<VerifiedHead> VerifyHead(ByteView signed_head, std::string_view chain_pem,
                                        std::string_view provider_ca_pem);

}  // namespace keystead::audit
