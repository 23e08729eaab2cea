// keystead.v1.Observer: who looks, how many at a time and at what, the same for every process that serves it.
// What there is to see each process says itself.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>

#include "absl/status/status.h"
#include "core/base/call_places.h"
#include "core/base/clock.h"
#include "core/identity/principal.h"
#include "core/transport/executor.h"
#include "core/transport/held_request.h"
#include "keystead/v1/observer.grpc.pb.h"

namespace keystead {

class ObserverService final : public v1::Observer::CallbackService {
 public:
  // THREAD: the executor. The demand is well-formed; whether the caller may see that tenant is for this to
  // decide, and NoSuchTenantToObserve what is said to whoever may not.
  using Look = std::function<absl::Status(const Principal& caller, const HeldDemand& demand,
                                          v1::HeldResponse& response)>;
  // Nothing is owned. `executor`: of its own, off the data path.
  ObserverService(const PrincipalResolver* resolver, Executor* executor, Look look,
                  const Clock* clock = &Clock::System());

  grpc::ServerUnaryReactor* Held(grpc::CallbackServerContext* context, const v1::HeldRequest* request,
                                 v1::HeldResponse* response) override;

 private:
  class Call;
  const PrincipalResolver* const resolver_;
  Executor* const executor_;
  const Look look_;
  const Clock* const clock_;
  CallPlaces places_;
};

// "Not yours" and "does not exist" are one answer, NOT_FOUND, and an event.
absl::Status NoSuchTenantToObserve(const Principal& caller);

}  // namespace keystead
