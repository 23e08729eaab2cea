// keystead.v1.SubscribeRequest, checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/transport/hop.h"

namespace keystead {

// Where the reader of one topic wants to begin.
struct AskedPosition {
  std::optional<LogId> log_id;  // none: unknown
  uint64_t next_offset = 0;
  bool only_new = false;
};

struct SubscribeWish {
  SubscribeDemand demand;
  std::vector<AskedPosition> positions;  // of demand.topics
};

// A pure function. INVALID_ARGUMENT for anything but 1 to limits::kMaxTopicsPerSubscription well-formed
// topics, each once.
absl::StatusOr<SubscribeWish> ParseSubscribeRequest(std::string_view bytes);

}  // namespace keystead
