// A refusal because of a limit: which one, and when to come again. Travels as google.rpc.RetryInfo and
// ErrorInfo in the details of a gRPC status; here it stands in the payloads of an absl::Status. ToPeer and
// FromGrpc carry it over.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/rate_limiter.h"

namespace keystead {

inline constexpr absl::Duration kMaxRetryDelay = absl::Hours(1);  // longer ones are taken for this

// RESOURCE_EXHAUSTED. `limit` is a name such as "records_per_second": of keystead.v1.TenantLimits or
// limit_names.h. What a hop says to a peer about a limit begins here and nowhere else (tests/house, rule
// "limits").
absl::Status LimitReached(std::string_view limit, absl::Duration retry_after);

// Takes a token, or says when the next one comes.
absl::Status TakeRate(RateLimiter& rate, std::string_view name, std::string_view limit);

// Of a status that carries them; a delay is between zero and kMaxRetryDelay.
std::optional<absl::Duration> RetryDelayOf(const absl::Status& status);
std::string LimitNameOf(const absl::Status& status);  // empty: none

// The serialized google.rpc.Status of such a status, empty for every other.
std::string EncodeLimitDetails(const absl::Status& status, std::string_view public_message);
// Takes over what of `details`, which came from a peer, this program knows; junk is passed over.
void DecodeLimitDetails(std::string_view details, absl::Status& status);

}  // namespace keystead
