// What a server asks of a caller that it refused (google/rpc/status.proto and error_details.proto).
#pragma once

#include <optional>
#include <string_view>

#include "absl/time/time.h"

namespace keystead::load {

// `details` is a serialized google.rpc.Status, as gRPC carries it beside the code. The first RetryInfo's
// delay, between 0 and an hour; none when there is none or the bytes are malformed.
std::optional<absl::Duration> RetryDelayOf(std::string_view details);

}  // namespace keystead::load
