#include "core/transport/observer_service.h"

#include <utility>

#include "core/base/status.h"
#include "core/identity/peer_event.h"
#include "core/transport/authorization.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"

namespace keystead {
namespace {

constexpr std::string_view kEvent = "observation_refused";

}  // namespace

// Holds its place until gRPC is done with the answer: what a caller does not read waits in memory.
class ObserverService::Call final : public grpc::ServerUnaryReactor {
 public:
  void Hold(CallPlaces::Place place) { place_ = std::move(place); }
  void End(const absl::Status& status) { Finish(ToPeer(status, kEvent)); }
  void OnDone() override { delete this; }

 private:
  CallPlaces::Place place_;
};

ObserverService::ObserverService(const PrincipalResolver* resolver, Executor* executor, Look look,
                                 const Clock* clock)
    : resolver_(resolver),
      executor_(executor),
      look_(std::move(look)),
      clock_(clock),
      places_({.total = 8, .of_group = 4, .of_caller = 2}) {}

grpc::ServerUnaryReactor* ObserverService::Held(grpc::CallbackServerContext* context,
                                                const v1::HeldRequest* request, v1::HeldResponse* response) {
  auto* const call = new Call;
  auto caller = PrincipalOf(*context, *resolver_);
  if (!caller.ok()) {
    call->End(caller.status());
    return call;
  }
  CallPlaces::Place place = places_.Enter((*caller)->tenant().str(), (*caller)->uri());
  if (place == nullptr) {
    ReportPeer(SecurityEventKind::kLimitExceeded, **caller, "observation: too many calls are under way");
    call->End(LimitReached(peer_limits::kObservations, peer_limits::kComeBackForPlace));
    return call;
  }
  call->Hold(std::move(place));
  executor_->Post([this, call, caller = *std::move(caller), request, response] {
    const auto demand = ParseHeldRequest(*request);
    if (!demand.ok()) {
      ReportPeer(SecurityEventKind::kMalformed, *caller, "observation: no request that can be answered");
      return call->End(demand.status());
    }
    const absl::Status status = look_(*caller, *demand, *response);
    if (!status.ok()) response->Clear();
    response->set_now_us(absl::ToUnixMicros(clock_->Now()));
    call->End(status);
  });
  return call;
}

absl::Status NoSuchTenantToObserve(const Principal& caller) {
  ReportPeer(SecurityEventKind::kNotPermitted, caller, "observation: no such tenant for this caller");
  return absl::NotFoundError("no such tenant for this caller");
}

}  // namespace keystead
