// What a gateway shows of a record (keystead.v1.Observer): what its log has on its disk. It reads only.
#pragma once

#include "core/identity/spiffe_id.h"
#include "core/transport/executor.h"
#include "core/transport/observer_service.h"
#include "core/transport/record_log.h"

namespace keystead::gateway {

// Thread-safe; a thread of its own, so that nothing on the LAN waits.
class GatewayObserver {
 public:
  // Nothing is owned. `tenant`: the gateway's, the only one whose peers its LAN lets in.
  GatewayObserver(const PrincipalResolver* resolver, const TenantName& tenant, const RecordLog* log);

  grpc::Service* service() { return &service_; }
  void Drain() { executor_.Drain(); }  // once no call is open any more

 private:
  absl::Status Look(const Principal& caller, const HeldDemand& demand, v1::HeldResponse& response) const;

  const TenantName tenant_;
  const RecordLog* const log_;
  Executor executor_;
  ObserverService service_;
};

}  // namespace keystead::gateway
