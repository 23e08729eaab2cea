// What transport counts of the whole process, as metrics: how calls of others ended here, and how long what
// is published takes to be acknowledged by the next hop.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "core/observe/latency_histogram.h"
#include "core/observe/metrics.h"

namespace keystead {

// A call ended with another status than OK; `limit` is the name of the limit of a RESOURCE_EXHAUSTED. A name
// that none of our limits has, since a peer further up may say anything, counts as "other". Thread-safe.
void CountFailedCall(absl::StatusCode code, std::string_view limit = {});
// Serves these counts, from the first call on and once.
void ServeFailedCalls();

// From the moment a request of a Publisher leaves until it is acknowledged. Served from the first use on.
LatencyHistogram& PublishedTimes();

// "ALREADY_EXISTS", …; of a code that is none, "UNKNOWN".
std::string_view CodeName(absl::StatusCode code);
inline constexpr int kStatusCodes = 17;  // 0 to 16 (gRPC specification, "Status codes")

}  // namespace keystead
