// One Publish call carried through: requests up, acknowledgements down, attacks in between.
#pragma once

#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <memory>

#include "infra-sim/hop.h"

namespace keystead::infra {

// Starts the same call at the next hop. The reactor deletes itself; both it and the other call end when
// either side does. At most kQueuedRequests requests are held between the two.
grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* StartPublishPass(
    const Hop& hop, const Upstream* upstream, grpc::CallbackServerContext& context);

inline constexpr size_t kQueuedRequests = 8;

}  // namespace keystead::infra
