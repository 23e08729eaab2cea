// What a sender remembers of its last stream, so that the next opening can say where it ended. Internal to
// core/member.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/sealing/content.h"

namespace keystead {

// [stream, last sequence, running hash, kernel boot, survives the power]. `previous` has an end.
std::string EncodeLastStream(const PreviousStream& previous, bool synced);
// Without an end when the power may have been cut since: the row may then be older than what was sent.
absl::StatusOr<PreviousStream> ParseLastStream(std::string_view row);

}  // namespace keystead
