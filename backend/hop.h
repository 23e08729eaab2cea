// The backend's decisions about the data path: every group and every subscription is measured against the
// caller's tenant and the roster of the instantiation, in the single writer's order.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>

#include "backend/fair_queue.h"
#include "backend/instantiations.h"
#include "backend/tenant_view.h"
#include "core/transport/hop.h"
#include "core/transport/transport_service.h"

namespace keystead::backend {

class BackendHop final : public Hop {
 public:
  // Nothing is owned; all must outlive it.
  BackendHop(const PrincipalResolver* resolver, const Tenants* tenants, Instantiations* instantiations,
             storage::LogStore* store, FairQueue* queue)
      : resolver_(resolver),
        tenants_(tenants),
        instantiations_(instantiations),
        store_(store),
        queue_(queue) {}

  // The service that asks this hop; before the first EndStale.
  void Attach(TransportService* service) { service_ = service; }

  absl::StatusOr<std::shared_ptr<const Principal>> Authenticate(
      const grpc::ServerContextBase& context) override;
  absl::Status CheckStillValid(const Principal& principal) override;
  absl::StatusOr<Place> TakePlace(const Principal& principal, const SubscribeDemand* demand) override;
  absl::Status Submit(const Principal& principal, std::unique_ptr<storage::Task> task,
                      const TaskLoad& load) override;
  void Sent(const Principal& principal, uint64_t groups, uint64_t bytes) override;
  RecordSource SourceOf(const Principal& principal) const override;
  absl::StatusOr<uint32_t> Admit(storage::Transaction& transaction, const Principal& principal,
                                 const GroupView& group) override;
  absl::Status Stored(storage::Transaction& transaction, const Principal& principal,
                      std::span<const StoredGroup> groups) override;
  void Committed(const Principal& principal, std::span<const StoredGroup> groups,
                 const absl::Status& status) override;
  absl::StatusOr<uint32_t> AdmitSubscribe(storage::Transaction& transaction, const Principal& principal,
                                          const SubscribeDemand& demand) override;

  // The same as AdmitSubscribe, for who reads the tenant's data without a topic's log. `service` is named in
  // the event when the caller has nothing to do there: "registry: ".
  absl::StatusOr<TenantView> AdmitReader(storage::Transaction& transaction, const Principal& principal,
                                         const SubscribeDemand& demand, std::string_view service);

  // THREAD: the store's writer. Ends the open subscriptions of an instantiation that its roster no longer
  // allows; open Publish calls meet the roster with their next group.
  void EndStale(const TenantView& tenant, const InstantiationId& id);
  // Any thread. Ends what members whose term is over still have open. Cheap when there is nothing to do.
  void EndExpired(absl::Time now);

 private:
  // An instantiation of the caller's own tenant. One of another tenant is looked for among the caller's, as
  // one that does not exist would be, and is not found.
  absl::StatusOr<TenantView> OwnTenant(storage::Transaction& transaction, const Principal& principal,
                                       const TenantName& tenant, const InstantiationId& id) const;
  // What the gate says; when it says that the caller has nothing to do here, at the price of "is not there".
  static absl::Status Weighed(storage::Transaction& transaction, const TenantView& tenant,
                              const InstantiationId& id, const absl::Status& said);

  const PrincipalResolver* const resolver_;
  const Tenants* const tenants_;
  Instantiations* const instantiations_;
  storage::LogStore* const store_;
  FairQueue* const queue_;
  TransportService* service_ = nullptr;

  // THREAD: the store's writer. Whose group was let in last; what the tasks have stored that are prepared and
  // not done, in their order.
  struct Noted {
    std::optional<TenantView> tenant;  // none: it has stored nothing
    StoredChange change;
  };
  std::optional<TenantView> admitted_;
  std::deque<Noted> noted_;
};

}  // namespace keystead::backend
