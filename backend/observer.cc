#include "backend/observer.h"

#include "core/base/status.h"

namespace keystead::backend {

BackendObserver::BackendObserver(const Parts& parts)
    : parts_(parts),
      executor_(1),
      service_(
          parts.resolver, &executor_,
          [this](const Principal& caller, const HeldDemand& demand, v1::HeldResponse& response) {
            return Look(caller, demand, response);
          },
          parts.clock) {}

absl::Status BackendObserver::Look(const Principal& caller, const HeldDemand& demand,
                                   v1::HeldResponse& response) const {
  const absl::StatusOr<TenantView> tenant = parts_.tenants->Administered(caller, demand.tenant);
  if (!tenant.ok()) return NoSuchTenantToObserve(caller);
  HeldAnswer answer(&response, v1::HOLDER_BACKEND);
  absl::Status failed;
  KS_RETURN_IF_ERROR(ForEachHeld(*parts_.log, tenant->number(), demand, [&](const StoredEntry& entry) {
    // One byte: of whatever size it is, this entry and no other.
    const auto raw = parts_.disk->Read(entry.log.ref, entry.offset, 1);
    if (absl::IsNotFound(raw.status())) return true;  // trimmed meanwhile
    if (!raw.ok()) failed = raw.status();
    if (!raw.ok() || raw->empty()) return failed.ok();
    v1::HeldGroup group = ToHeldGroup(entry, parts_.clock->Now());
    group.set_stored(*raw->front().bytes);
    return answer.Add(std::move(group));
  }));
  return failed;
}

}  // namespace keystead::backend
