// keystead.v1.PublishRequest and PublishResponse as bytes: what a publisher sends is taken apart where it
// lies, and nothing of it is kept but the groups.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/storage/log_store.h"
#include "core/transport/grpc_names.h"

namespace keystead {

// The groups of a request that came in `pieces`, one after the other. A pure function. INVALID_ARGUMENT: not
// the encoding of a PublishRequest, more than limits::kMaxGroupsPerRequest groups, or a field that this
// version does not know (a hop that would drop it could not keep what it promises). A group larger than
// limits::kMaxGroupBytes is not copied: it comes as an empty one, which no reader of groups takes.
absl::StatusOr<std::vector<storage::Payload>> ParsePublishRequest(std::span<const std::string_view> pieces);
absl::StatusOr<std::vector<storage::Payload>> ParsePublishRequest(const grpc::ByteBuffer& buffer);

// keystead.v1.Refusal, but for the sentence that follows from the code.
struct GroupRefused {
  uint64_t request = 0;
  uint32_t group = 0;
  absl::StatusCode code = absl::StatusCode::kUnknown;
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
};

grpc::ByteBuffer EncodePublishResponse(uint64_t durable_requests, std::span<const GroupRefused> refusals);

}  // namespace keystead
