#include "backend/registry_service.h"

#include "core/base/status.h"
#include "core/transport/authorization.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {

// Another tenant's instantiation goes the same way as one that does not exist, and is refused at its end.
absl::StatusOr<CommitIntake::Target> RegistryService::TargetOf(const grpc::CallbackServerContext& context,
                                                               std::string_view tenant,
                                                               std::string_view instantiation) const {
  KS_ASSIGN_OR_RETURN(auto caller, PrincipalOf(context, *resolver_));
  KS_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(const InstantiationId id, InstantiationId::FromBytes(instantiation));
  absl::StatusOr<TenantView> view = tenants_->For(*caller, name);
  const bool elsewhere = !view.ok();
  if (elsewhere) view = tenants_->Of(*caller);
  if (!view.ok()) return view.status();
  return CommitIntake::Target{std::move(caller), *view, name, id, elsewhere};
}

// The default reactor ignores a client that goes away: the answer then reaches nobody, and a commit counts
// all the same.
grpc::ServerUnaryReactor* RegistryService::Submit(grpc::CallbackServerContext* context,
                                                  const v1::SubmitCommitRequest* request,
                                                  v1::SubmitCommitResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  absl::StatusOr<CommitIntake::Target> target =
      TargetOf(*context, request->tenant(), request->instantiation());
  if (!target.ok()) {
    reactor->Finish(ToPeer(target.status(), "submit_refused"));
    return reactor;
  }
  intake_->Submit(*target, request->bundle(),
                  [reactor, response](const absl::StatusOr<AcceptedCommit>& accepted) {
                    if (accepted.ok()) {
                      response->set_epoch(accepted->epoch);
                      response->set_head(accepted->hash.ToString());
                    }
                    reactor->Finish(ToPeer(accepted.status(), "submit_refused"));
                  });
  return reactor;
}

namespace {

// Holds its place until gRPC is done with the answer: what a caller does not read waits in memory.
class FetchReactor final : public grpc::ServerUnaryReactor {
 public:
  void Answer(absl::StatusOr<CommitIntake::Fetched> fetched, v1::FetchCommitsResponse& response) {
    if (fetched.ok()) {
      place_ = std::move(fetched->place);
      for (std::string& bundle : fetched->bundles) response.add_bundles(std::move(bundle));
    }
    Finish(ToPeer(fetched.status(), "fetch_refused"));
  }
  void OnDone() override { delete this; }

 private:
  CallPlaces::Place place_;
};

}  // namespace

grpc::ServerUnaryReactor* RegistryService::Fetch(grpc::CallbackServerContext* context,
                                                 const v1::FetchCommitsRequest* request,
                                                 v1::FetchCommitsResponse* response) {
  auto* const reactor = new FetchReactor;
  absl::StatusOr<CommitIntake::Target> target =
      TargetOf(*context, request->tenant(), request->instantiation());
  if (!target.ok()) {
    reactor->Answer(target.status(), *response);
    return reactor;
  }
  intake_->Fetch(*target, request->from_epoch(),
                 [reactor, response](absl::StatusOr<CommitIntake::Fetched> fetched) {
                   reactor->Answer(std::move(fetched), *response);
                 });
  return reactor;
}

}  // namespace keystead::backend
