#include "gateway/observer.h"

#include "gateway/rows.h"

namespace keystead::gateway {

GatewayObserver::GatewayObserver(const PrincipalResolver* resolver, const TenantName& tenant,
                                 const RecordLog* log)
    : tenant_(tenant),
      log_(log),
      executor_(1),
      service_(resolver, &executor_,
               [this](const Principal& caller, const HeldDemand& demand, v1::HeldResponse& response) {
                 return Look(caller, demand, response);
               }) {}

absl::Status GatewayObserver::Look(const Principal& caller, const HeldDemand& demand,
                                   v1::HeldResponse& response) const {
  if (demand.tenant != tenant_ || caller.tenant() != tenant_) return NoSuchTenantToObserve(caller);
  HeldAnswer answer(&response, v1::HOLDER_GATEWAY);
  return ForEachHeld(*log_, kTenantNumber, demand,
                     [&](const StoredEntry& entry) { return answer.Add(ToHeldGroup(entry, absl::Now())); });
}

}  // namespace keystead::gateway
