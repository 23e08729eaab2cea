// keystead.v1.Enrollment over Enrollment.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>

#include "backend/audit_log.h"
#include "backend/enrollment.h"
#include "backend/fair_queue.h"
#include "backend/tenant_view.h"
#include "core/transport/executor.h"
#include "keystead/v1/enrollment.grpc.pb.h"

namespace keystead::backend {

class EnrollmentService final : public v1::Enrollment::CallbackService {
 public:
  struct Parts {  // nothing is owned
    const PrincipalResolver* resolver = nullptr;
    const Tenants* tenants = nullptr;
    FairQueue* queue = nullptr;
    const AuditLog* audit = nullptr;
    Executor* executor = nullptr;
  };
  EnrollmentService(const Parts& parts, Enrollment* enrollment) : parts_(parts), enrollment_(enrollment) {}

  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context, const v1::EnrollRequest* request,
                                   v1::EnrollResponse* response) override;

 private:
  // Answers `done` when it stands in the tenant's audit log that the certificate was issued: none leaves
  // before. THREAD: any.
  void Record(const Principal& caller, const Enrollment::Issued& issued,
              std::function<void(const absl::Status&)> done) const;

  const Parts parts_;
  Enrollment* const enrollment_;
};

}  // namespace keystead::backend
