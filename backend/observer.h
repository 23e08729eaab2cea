// What a backend shows of a record (keystead.v1.Observer): what lies in its store, and what whoever has the
// keystore as well makes of it. It reads only.
#pragma once

#include <memory>

#include "backend/tenant_view.h"
#include "core/storage/log_store.h"
#include "core/transport/executor.h"
#include "core/transport/observer_service.h"
#include "core/transport/record_log.h"

namespace keystead::backend {

// Thread-safe; a thread of its own, so that nothing else of administration waits.
class BackendObserver {
 public:
  struct Parts {  // nothing is owned
    const PrincipalResolver* resolver = nullptr;
    const Tenants* tenants = nullptr;
    const RecordLog* log = nullptr;
    const storage::LogStore* disk = nullptr;  // below the encryption
    const Clock* clock = &Clock::System();
  };
  explicit BackendObserver(const Parts& parts);

  grpc::Service* service() { return &service_; }
  void Drain() { executor_.Drain(); }  // once no call is open any more

 private:
  absl::Status Look(const Principal& caller, const HeldDemand& demand, v1::HeldResponse& response) const;

  const Parts parts_;
  Executor executor_;
  ObserverService service_;
};

}  // namespace keystead::backend
