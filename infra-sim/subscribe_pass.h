// One Subscribe call carried through: entries down, attacks in between.
#pragma once

#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <vector>

#include "infra-sim/hop.h"

namespace keystead::infra {

// As StartPublishPass. `reader` is who asks (offsets.h). At most kQueuedResponses responses are held between
// the two sides.
grpc::ServerWriteReactor<v1::SubscribeResponse>* StartSubscribePass(const Hop& hop, const Upstream* upstream,
                                                                    const std::string& reader,
                                                                    grpc::CallbackServerContext& context,
                                                                    const v1::SubscribeRequest& request);

inline constexpr size_t kQueuedResponses = 8;

// Puts entries together again after attacks, each under the offset it is given: where offsets jump, a new
// TopicEntries begins. Pure; not thread-safe.
class EntriesBuilder {
 public:
  void BeginTopic(const v1::TopicEntries& genuine);  // keeps its log id and first_kept
  void Add(uint32_t topic, uint64_t offset, std::string group);
  void EndTopic(const v1::TopicEntries& genuine);  // keeps its caught_up
  v1::SubscribeResponse Take() { return std::exchange(out_, {}); }
  bool empty() const { return out_.topics_size() == 0; }

 private:
  v1::SubscribeResponse out_;
};

}  // namespace keystead::infra
