// Who calls through a balancer, and where the call goes on.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/transport/status_mapping.h"
#include "infra-sim/hop.h"
#include "infra-sim/unary_pass.h"

namespace keystead::infra {

struct Caller {
  TenantName tenant;
  const Upstream* upstream = nullptr;
  std::string id;  // SPIFFE
};

// PERMISSION_DENIED for a tenant without an upstream; UNAUTHENTICATED as PrincipalOf says it.
absl::StatusOr<Caller> FindUpstream(const Hop& hop, const grpc::CallbackServerContext& context);

template <class Base>
class Refusing final : public Base {
 public:
  explicit Refusing(const absl::Status& status) { this->Finish(ToPeer(status, "balancer_refused")); }
  void OnDone() override { delete this; }
};

template <class Request, class Response>
grpc::ServerUnaryReactor* StartUnary(
    const Hop& hop, grpc::CallbackServerContext& context, const Request& request, Response* response,
    const std::function<typename UnaryCall<Request, Response>::Shape(const Caller&)>& shape) {
  const auto caller = FindUpstream(hop, context);
  if (!caller.ok()) return new Refusing<grpc::ServerUnaryReactor>(caller.status());
  return std::make_shared<UnaryCall<Request, Response>>(hop, shape(*caller))
      ->Start(context, request, response);
}

}  // namespace keystead::infra
