// keystead.v1.Registry over CommitIntake.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "backend/commit_intake.h"
#include "backend/tenant_view.h"
#include "keystead/v1/registry.grpc.pb.h"

namespace keystead::backend {

class RegistryService final : public v1::Registry::CallbackService {
 public:
  // Nothing is owned.
  RegistryService(const PrincipalResolver* resolver, const Tenants* tenants, CommitIntake* intake)
      : resolver_(resolver), tenants_(tenants), intake_(intake) {}

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const v1::SubmitCommitRequest* request,
                                   v1::SubmitCommitResponse* response) override;
  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const v1::FetchCommitsRequest* request,
                                  v1::FetchCommitsResponse* response) override;

 private:
  absl::StatusOr<CommitIntake::Target> TargetOf(const grpc::CallbackServerContext& context,
                                                std::string_view tenant,
                                                std::string_view instantiation) const;

  const PrincipalResolver* const resolver_;
  const Tenants* const tenants_;
  CommitIntake* const intake_;
};

}  // namespace keystead::backend
