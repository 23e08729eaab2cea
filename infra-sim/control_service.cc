#include "infra-sim/control_service.h"

#include "core/transport/status_mapping.h"

namespace keystead::infra {
namespace {

grpc::ServerUnaryReactor* Finished(grpc::CallbackServerContext* context, const grpc::Status& status) {
  auto* const reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

}  // namespace

AuthorizationPolicy ControlPolicy() {
  const RoleSet admin = RoleSet::Of(Role::kAdmin);
  return {{"/keystead.v1.InfraControl/Arm", admin},
          {"/keystead.v1.InfraControl/Disarm", admin},
          {"/keystead.v1.InfraControl/Injections", admin},
          {"/keystead.v1.InfraControl/Seen", admin},
          {"/keystead.v1.InfraControl/Listeners", admin},
          {"/keystead.v1.Observer/Held", admin},
          {kHealthCheckMethod, admin},
          {kHealthWatchMethod, admin}};
}

grpc::ServerUnaryReactor* ControlService::Arm(grpc::CallbackServerContext* context,
                                              const v1::ArmRequest* request, v1::ArmResponse* response) {
  const auto number = engine_->Arm(*request);
  if (!number.ok()) return Finished(context, ToPeer(number.status(), "arm_refused"));
  response->set_attack(*number);
  return Finished(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* ControlService::Disarm(grpc::CallbackServerContext* context,
                                                 const v1::DisarmRequest* request, v1::DisarmResponse*) {
  engine_->Disarm(request->attack());
  return Finished(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* ControlService::Injections(grpc::CallbackServerContext* context,
                                                     const v1::InjectionsRequest* request,
                                                     v1::InjectionsResponse* response) {
  *response = engine_->Injections(request->attack());
  return Finished(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* ControlService::Seen(grpc::CallbackServerContext* context,
                                               const v1::SeenRequest* request, v1::SeenResponse* response) {
  *response = engine_->Seen(request->last());
  return Finished(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* ControlService::Listeners(grpc::CallbackServerContext* context,
                                                    const v1::ListenersRequest*,
                                                    v1::ListenersResponse* response) {
  for (const v1::Listener& listener : listeners_) *response->add_listeners() = listener;
  for (v1::ArmedAttack& attack : engine_->ArmedNow()) *response->add_armed() = std::move(attack);
  return Finished(context, grpc::Status::OK);
}

}  // namespace keystead::infra
