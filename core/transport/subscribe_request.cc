#include "core/transport/subscribe_request.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "keystead/v1/transport.pb.h"

namespace keystead {

absl::StatusOr<SubscribeWish> ParseSubscribeRequest(std::string_view bytes) {
  v1::SubscribeRequest request;
  if (bytes.size() > limits::kMaxMessageBytes ||
      !request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return absl::InvalidArgumentError("subscribe: not a request");
  SubscribeWish out;
  KS_ASSIGN_OR_RETURN(out.demand.tenant, TenantName::Parse(request.tenant()));
  KS_ASSIGN_OR_RETURN(out.demand.instantiation, InstantiationId::FromBytes(request.instantiation()));
  const auto count = static_cast<size_t>(request.topics_size());
  if (count == 0 || count > limits::kMaxTopicsPerSubscription)
    return absl::InvalidArgumentError("subscribe: no topics or too many");
  absl::flat_hash_set<Topic> seen;
  for (const v1::TopicPosition& position : request.topics()) {
    KS_ASSIGN_OR_RETURN(Topic topic, Topic::Parse(position.topic()));
    if (!seen.insert(topic).second) return absl::InvalidArgumentError("subscribe: a topic comes twice");
    AskedPosition asked{.next_offset = position.next_offset(), .only_new = position.only_new()};
    if (!position.log_id().empty()) {
      KS_ASSIGN_OR_RETURN(asked.log_id, LogId::FromBytes(position.log_id()));
    }
    out.demand.topics.push_back(std::move(topic));
    out.positions.push_back(asked);
  }
  return out;
}

}  // namespace keystead
