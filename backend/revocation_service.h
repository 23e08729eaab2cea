// The gRPC face of the tenants' revocations, and where they are kept: one row per tenant.
#pragma once

#include "absl/status/status.h"
#include "backend/tenant_view.h"
#include "core/base/rate_limiter.h"
#include "core/storage/log_store.h"
#include "core/transport/executor.h"
#include "core/transport/revocation_fetch.h"
#include "core/transport/revocation_keeper.h"
#include "keystead/v1/revocation.grpc.pb.h"

namespace keystead::backend {

// Thread-safe. All that is pointed to outlives it.
class RevocationService final : public v1::Revocation::CallbackService {
 public:
  struct Parts {
    const PrincipalResolver* resolver = nullptr;
    const Tenants* tenants = nullptr;
    RevocationKeeper* keeper = nullptr;
    storage::LogStore* store = nullptr;
    Executor* executor = nullptr;
  };
  RevocationService(const Parts& parts, const Clock* clock)
      : parts_(parts), puts_({.per_second = 0.2, .burst = 20}, clock), shares_(clock) {}

  // Before anybody is served: what was kept counts again. DATA_LOSS names the tenant.
  absl::Status Restore();

  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context,
                                const v1::PutRevocationsRequest* request,
                                v1::PutRevocationsResponse* response) override;
  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const v1::FetchRevocationsRequest* request,
                                  v1::FetchRevocationsResponse* response) override;

 private:
  absl::StatusOr<uint64_t> Take(const Principal& caller, const TenantView& tenant, std::string_view object);

  const Parts parts_;
  // By caller, never by tenant: whoever shall be revoked must not be able to use up what its tenant has.
  RateLimiter puts_;
  RevocationShares shares_;
};

}  // namespace keystead::backend
