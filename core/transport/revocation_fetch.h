// Revocation.Fetch, the same for every hop.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "core/base/call_places.h"
#include "core/base/rate_limiter.h"
#include "core/identity/principal.h"
#include "core/transport/revocation_keeper.h"
#include "keystead/v1/revocation.pb.h"

namespace keystead {

// What peers may ask of one hop. Thread-safe.
struct RevocationShares {
  explicit RevocationShares(const Clock* clock) : rate({.per_second = 2, .burst = 60}, clock) {}
  CallPlaces places{{.total = 65536, .of_group = 4096, .of_caller = 4, .of_caller_alone = 64}};
  RateLimiter rate;
};

// Answers when there is something, or ends with the call. RESOURCE_EXHAUSTED beyond the shares. All that is
// pointed to outlives the call.
grpc::ServerUnaryReactor* StartRevocationFetch(grpc::CallbackServerContext& context,
                                               const v1::FetchRevocationsRequest& request,
                                               v1::FetchRevocationsResponse* response,
                                               const PrincipalResolver& resolver, RevocationKeeper& keeper,
                                               RevocationShares& shares);

}  // namespace keystead
