// keystead.v1.Enrollment over Enrollment.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "backend/enrollment.h"
#include "core/transport/executor.h"
#include "keystead/v1/enrollment.grpc.pb.h"

namespace keystead::backend {

class EnrollmentService final : public v1::Enrollment::CallbackService {
 public:
  // Nothing is owned.
  EnrollmentService(const PrincipalResolver* resolver, Enrollment* enrollment, Executor* executor)
      : resolver_(resolver), enrollment_(enrollment), executor_(executor) {}

  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context, const v1::EnrollRequest* request,
                                   v1::EnrollResponse* response) override;

 private:
  const PrincipalResolver* const resolver_;
  Enrollment* const enrollment_;
  Executor* const executor_;
};

}  // namespace keystead::backend
