// What a sender remembers between two runs: where its last stream ended, so that the next opening can say so,
// and which losses it has not reported yet. Internal to core/member.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/sealing/content.h"

namespace keystead {

struct SenderMemory {
  std::optional<PreviousStream> previous;
  std::vector<Loss> losses;  // given up, no signed report of it journalled yet
};

// [[stream, [last sequence, running hash, kernel boot, survives the power] / null] / null,
//  [[stream, first, last, reason]…]]
std::string EncodeSenderMemory(const SenderMemory& memory, bool synced);
// The previous stream comes without an end when the power may have been cut since: the row may then be older
// than what was sent. INVALID_ARGUMENT when malformed.
absl::StatusOr<SenderMemory> ParseSenderMemory(std::string_view row);

}  // namespace keystead
