// InfraControl over an AttackEngine.
#pragma once

#include "core/transport/authorization.h"
#include "infra-sim/engine.h"
#include "keystead/v1/infra.grpc.pb.h"

namespace keystead::infra {

AuthorizationPolicy ControlPolicy();  // role admin only

class ControlService final : public v1::InfraControl::CallbackService {
 public:
  explicit ControlService(AttackEngine* engine) : engine_(engine) {}
  grpc::ServerUnaryReactor* Arm(grpc::CallbackServerContext* context, const v1::ArmRequest* request,
                                v1::ArmResponse* response) override;
  grpc::ServerUnaryReactor* Disarm(grpc::CallbackServerContext* context, const v1::DisarmRequest* request,
                                   v1::DisarmResponse* response) override;
  grpc::ServerUnaryReactor* Injections(grpc::CallbackServerContext* context,
                                       const v1::InjectionsRequest* request,
                                       v1::InjectionsResponse* response) override;
  grpc::ServerUnaryReactor* Seen(grpc::CallbackServerContext* context, const v1::SeenRequest* request,
                                 v1::SeenResponse* response) override;

 private:
  AttackEngine* const engine_;
};

}  // namespace keystead::infra
