// absl::Status to and from grpc::Status, here and nowhere else. A peer learns the code and one fixed sentence
// for it; what really happened goes to the local log.
#pragma once

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"

namespace keystead {

// The sentence for a code, empty for OK. Every failure of one code looks the same from outside.
std::string_view PublicSentence(absl::StatusCode code);

// For the answer to a peer: same code (kUnknown becomes INTERNAL), fixed sentence. Logs the message at level
// info as `event` with the code, unless OK. `event` is a constant in snake_case.
// What LimitReached says about the caller's own limit goes along. Any other RESOURCE_EXHAUSTED is the hop's
// own trouble, its disk or its queue: then the limit is called "capacity".
grpc::Status ToPeer(const absl::Status& status, std::string_view event = "call_refused");

// A status from the library or a peer. The text came from outside: it is cut to 256 bytes and control
// characters are replaced. Never kUnknown: an unknown code becomes INTERNAL.
absl::Status FromGrpc(const grpc::Status& status);

// Whether the same call may succeed later without anyone changing it: UNAVAILABLE, DEADLINE_EXCEEDED,
// RESOURCE_EXHAUSTED and ABORTED.
bool IsTransient(const absl::Status& status);

}  // namespace keystead
