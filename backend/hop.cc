#include "backend/hop.h"

#include "absl/strings/str_cat.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/identity/peer_event.h"
#include "core/observe/security_event.h"
#include "core/transport/authorization.h"

namespace keystead::backend {
namespace {

// Of a request for a tenant or instantiation that is not there for this caller.
void ReportStranger(const Principal& principal, const TenantName& tenant, const InstantiationId& id,
                    const GroupView* group, std::string_view service) {
  SecurityEvent event;
  event.kind = SecurityEventKind::kNotPermitted;
  event.tenant = tenant.str();
  event.instantiation = id.ToHex();
  event.peer = principal.uri();
  event.detail = absl::StrCat(Absl(service), "no such instantiation for this caller");
  if (group != nullptr) {
    event.topic = group->header().topic.str();
    event.sender = group->header().sender.ToHex();
    event.stream = group->header().stream.ToHex();
    event.epoch = group->header().epoch;
    event.sequence = group->first_sequence();
  }
  Report(event);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Principal>> BackendHop::Authenticate(
    const grpc::ServerContextBase& context) {
  return PrincipalOf(context, *resolver_);
}

absl::Status BackendHop::CheckStillValid(const Principal& principal) {
  return resolver_->CheckStillValid(principal);
}

absl::StatusOr<Hop::Place> BackendHop::TakePlace(const Principal& principal, const SubscribeDemand* demand) {
  KS_ASSIGN_OR_RETURN(const TenantView tenant, tenants_->Of(principal));
  absl::StatusOr<Place> place =
      tenant.account().Enter(principal, demand == nullptr ? 0 : demand->topics.size());
  KS_RETURN_IF_ERROR(ReportLimit(principal, place.status()));
  return place;
}

absl::Status BackendHop::Submit(const Principal& principal, std::unique_ptr<storage::Task> task,
                                const TaskLoad& load) {
  KS_ASSIGN_OR_RETURN(const TenantView tenant, tenants_->Of(principal));
  absl::Status status = tenant.account().Admit(load);
  if (status.ok()) {
    status = queue_->Submit(tenant, std::move(task));
    if (!status.ok()) tenant.account().GiveBack(load);
  }
  return absl::IsResourceExhausted(status) ? ReportLimit(principal, status) : status;
}

void BackendHop::Sent(const Principal& principal, uint64_t groups, uint64_t bytes) {
  if (const auto tenant = tenants_->Of(principal); tenant.ok()) tenant->account().CountSent(groups, bytes);
}

RecordSource BackendHop::SourceOf(const Principal& principal) const {
  return RecordSource::Of(principal.uri(), principal.role() == Role::kGateway
                                               ? limits::kCourierVariants
                                               : limits::kMaxVariantsPerSequence);
}

absl::StatusOr<TenantView> BackendHop::OwnTenant(storage::Transaction& transaction,
                                                 const Principal& principal, const TenantName& tenant,
                                                 const InstantiationId& id) const {
  const absl::StatusOr<TenantView> named = tenants_->For(principal, tenant);
  if (named.ok()) return named;
  KS_ASSIGN_OR_RETURN(const TenantView own, tenants_->Of(principal));
  return Instantiations::Miss(transaction, own, id);
}

absl::Status BackendHop::Weighed(storage::Transaction& transaction, const TenantView& tenant,
                                 const InstantiationId& id, const absl::Status& said) {
  if (!absl::IsNotFound(said)) return said;
  const absl::Status missed = Instantiations::Miss(transaction, tenant, id);
  return absl::IsNotFound(missed) ? said : missed;
}

absl::StatusOr<uint32_t> BackendHop::Admit(storage::Transaction& transaction, const Principal& principal,
                                           const GroupView& group) {
  const GroupHeader& header = group.header();
  const absl::StatusOr<TenantView> tenant =
      OwnTenant(transaction, principal, header.tenant, header.instantiation);
  const absl::StatusOr<RosterGate*> gate =
      tenant.ok() ? instantiations_->Find(transaction, *tenant, header.instantiation) : tenant.status();
  if (!gate.ok()) {
    if (absl::IsNotFound(gate.status()))
      ReportStranger(principal, header.tenant, header.instantiation, &group, "");
    return gate.status();
  }
  KS_RETURN_IF_ERROR(
      Weighed(transaction, *tenant, header.instantiation, (*gate)->MayPublish(principal, group)));
  admitted_ = *tenant;
  return tenant->number();
}

absl::Status BackendHop::Stored(storage::Transaction& transaction, const Principal&,
                                std::span<const StoredGroup> groups) {
  Noted noted;
  for (const StoredGroup& group : groups) {
    if (group.outcome.stored == nullptr) continue;
    ++noted.change.groups;
    noted.change.bytes += static_cast<int64_t>(group.outcome.stored->size());
  }
  if (noted.change.groups > 0) {
    noted.tenant = admitted_;  // with these groups, in this task
    KS_RETURN_IF_ERROR(noted.tenant->account().Add(transaction, noted.change));
  }
  noted_.push_back(noted);
  return absl::OkStatus();
}

// Tasks are done in the order in which they were prepared.
void BackendHop::Committed(const Principal&, std::span<const StoredGroup>, const absl::Status& status) {
  const Noted noted = noted_.front();
  noted_.pop_front();
  if (noted.tenant.has_value()) noted.tenant->account().Settle(status, noted.change);
}

absl::StatusOr<TenantView> BackendHop::AdmitReader(storage::Transaction& transaction,
                                                   const Principal& principal, const SubscribeDemand& demand,
                                                   std::string_view service) {
  const absl::StatusOr<TenantView> tenant =
      OwnTenant(transaction, principal, demand.tenant, demand.instantiation);
  const absl::StatusOr<RosterGate*> gate =
      tenant.ok() ? instantiations_->Find(transaction, *tenant, demand.instantiation) : tenant.status();
  if (!gate.ok()) {
    if (absl::IsNotFound(gate.status()))
      ReportStranger(principal, demand.tenant, demand.instantiation, nullptr, service);
    return gate.status();
  }
  KS_RETURN_IF_ERROR(
      Weighed(transaction, *tenant, demand.instantiation, (*gate)->MaySubscribe(principal, demand.topics)));
  return tenant;
}

absl::StatusOr<uint32_t> BackendHop::AdmitSubscribe(storage::Transaction& transaction,
                                                    const Principal& principal,
                                                    const SubscribeDemand& demand) {
  KS_ASSIGN_OR_RETURN(const TenantView tenant, AdmitReader(transaction, principal, demand, ""));
  return tenant.number();
}

void BackendHop::EndStale(const TenantView& tenant, const InstantiationId& id) {
  if (service_ == nullptr) return;
  const RosterGate* const gate = instantiations_->InMemory(tenant, id);
  // Without the roster in memory nobody can be told from another: all come back and meet it.
  service_->EndCalls(
      [&](const OpenCall& call) {
        return call.demand != nullptr && call.demand->instantiation == id &&
               call.demand->tenant == tenant.name() &&
               (gate == nullptr || !gate->StillMayRead(call.principal, call.demand->topics).ok());
      },
      gate == nullptr ? absl::UnavailableError("the roster has changed: subscribe again")
                      : absl::PermissionDeniedError("the roster no longer allows this subscription"));
}

void BackendHop::EndExpired(absl::Time now) {
  if (instantiations_->next_expiry() > now) return;
  const auto prepare = [this, now](storage::Transaction&) {
    for (const auto& [tenant, id] : instantiations_->TakeExpired(now)) EndStale(tenant, id);
    return absl::OkStatus();
  };
  // A store that is busy now is asked again by the next tick.
  static_cast<void>(store_->Submit(storage::MakeTask(
      0, prepare, [](const absl::Status&) {}, storage::Durability::kBuffered)));
}

}  // namespace keystead::backend
