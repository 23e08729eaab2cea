#include "backend/enrollment_service.h"

#include "core/base/status.h"
#include "core/transport/authorization.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {

grpc::ServerUnaryReactor* EnrollmentService::Enroll(grpc::CallbackServerContext* context,
                                                    const v1::EnrollRequest* request,
                                                    v1::EnrollResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  auto caller = PrincipalOf(*context, *resolver_);
  if (!caller.ok()) {
    reactor->Finish(ToPeer(caller.status(), "enroll_refused"));
    return reactor;
  }
  // Signatures are not for gRPC's threads. Request and response live until Finish.
  executor_->Post([this, reactor, request, response, caller = *std::move(caller)] {
    absl::StatusOr<std::string> chain =
        enrollment_->Enroll(*caller, {request->factory_chain(), ToBytes(AsBytes(request->proof()))});
    if (chain.ok()) response->set_chain(*std::move(chain));
    reactor->Finish(ToPeer(chain.status(), "enroll_refused"));
  });
  return reactor;
}

}  // namespace keystead::backend
