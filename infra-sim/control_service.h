// InfraControl over an AttackEngine.
#pragma once

#include <utility>
#include <vector>

#include "core/transport/authorization.h"
#include "infra-sim/engine.h"
#include "keystead/v1/infra.grpc.pb.h"

namespace keystead::infra {

// Of InfraControl and of the Observer beside it: role admin only.
AuthorizationPolicy ControlPolicy();

class ControlService final : public v1::InfraControl::CallbackService {
 public:
  explicit ControlService(AttackEngine* engine) : engine_(engine) {}
  // Before it is served.
  void AddListener(v1::Listener listener) { listeners_.push_back(std::move(listener)); }
  grpc::ServerUnaryReactor* Arm(grpc::CallbackServerContext* context, const v1::ArmRequest* request,
                                v1::ArmResponse* response) override;
  grpc::ServerUnaryReactor* Disarm(grpc::CallbackServerContext* context, const v1::DisarmRequest* request,
                                   v1::DisarmResponse* response) override;
  grpc::ServerUnaryReactor* Injections(grpc::CallbackServerContext* context,
                                       const v1::InjectionsRequest* request,
                                       v1::InjectionsResponse* response) override;
  grpc::ServerUnaryReactor* Seen(grpc::CallbackServerContext* context, const v1::SeenRequest* request,
                                 v1::SeenResponse* response) override;
  grpc::ServerUnaryReactor* Listeners(grpc::CallbackServerContext* context,
                                      const v1::ListenersRequest* request,
                                      v1::ListenersResponse* response) override;

 private:
  AttackEngine* const engine_;
  std::vector<v1::Listener> listeners_;
};

}  // namespace keystead::infra
