// What the equipment shows of a record (keystead.v1.Observer): what it noted as it passed, and what it sent
// on instead. It reads only.
#pragma once

#include "core/transport/executor.h"
#include "core/transport/observer_service.h"
#include "infra-sim/engine.h"

namespace keystead::infra {

// For an administrator of a tenant: what passed of that tenant. Of TLS records nobody can say whose they are,
// so all of them. Thread-safe; a thread of its own, so that no call that passes waits.
class EquipmentObserver {
 public:
  EquipmentObserver(const PrincipalResolver* resolver, const AttackEngine* engine);  // nothing is owned
  grpc::Service* service() { return &service_; }

 private:
  absl::Status Look(const Principal& caller, const HeldDemand& demand, v1::HeldResponse& response) const;

  const AttackEngine* const engine_;
  Executor executor_;
  ObserverService service_;
};

}  // namespace keystead::infra
