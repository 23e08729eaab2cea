#include "backend/revocation_service.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backend/rows.h"
#include "core/base/status.h"
#include "core/identity/peer_event.h"
#include "core/transport/authorization.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {

absl::Status RevocationService::Restore() {
  std::vector<std::pair<TenantName, std::string>> kept;
  KS_RETURN_IF_ERROR(parts_.store->Commit([&](storage::Transaction& transaction) {
    absl::Status status;
    parts_.tenants->ForEach([&](const TenantView& tenant) {
      if (!status.ok()) return;
      auto row = transaction.Get(tenant.number(), kRevocationTable, kRevocationKey);
      if (!row.ok()) status = row.status();
      if (row.ok() && row->has_value()) kept.emplace_back(tenant.name(), **std::move(row));
    });
    return status;
  }));
  for (const auto& [tenant, object] : kept) {
    const absl::Status status = parts_.keeper->Restore(AsBytes(object));
    if (!status.ok())
      return absl::DataLossError(absl::StrCat("revocations of ", tenant.str(), ": ", status.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RevocationService::Take(const Principal& caller, const TenantView& tenant,
                                                 std::string_view object) {
  return parts_.keeper->Put(tenant.name(), AsBytes(object), caller.uri(), [&] {
    return parts_.store->Commit([&](storage::Transaction& transaction) {
      transaction.Put(tenant.number(), kRevocationTable, kRevocationKey, object);
      return absl::OkStatus();
    });
  });
}

grpc::ServerUnaryReactor* RevocationService::Put(grpc::CallbackServerContext* context,
                                                 const v1::PutRevocationsRequest* request,
                                                 v1::PutRevocationsResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  auto caller = PrincipalOf(*context, *parts_.resolver);
  absl::StatusOr<TenantView> tenant = caller.ok() ? parts_.tenants->Of(**caller) : caller.status();
  absl::Status status = tenant.status();
  if (status.ok() && request->object().size() > kMaxRevocationBytes)
    status = absl::InvalidArgumentError("revocations larger than the limit");
  if (status.ok()) {
    status = ReportLimit(**caller, "revocations: more than the rate allows",
                         TakeRate(puts_, (*caller)->uri(), peer_limits::kRevocations));
  }
  if (!status.ok()) {
    reactor->Finish(ToPeer(status, "revocations_refused"));
    return reactor;
  }
  // Signatures and the disk are not for gRPC's threads. Request and response live until Finish.
  const std::string_view flow = (*caller)->tenant().str();
  parts_.executor->Post(flow,
                        [this, reactor, request, response, caller = *std::move(caller), tenant = *tenant] {
                          const absl::StatusOr<uint64_t> number = Take(*caller, tenant, request->object());
                          if (number.ok()) response->set_number(*number);
                          reactor->Finish(ToPeer(number.status(), "revocations_refused"));
                        });
  return reactor;
}

grpc::ServerUnaryReactor* RevocationService::Fetch(grpc::CallbackServerContext* context,
                                                   const v1::FetchRevocationsRequest* request,
                                                   v1::FetchRevocationsResponse* response) {
  return StartRevocationFetch(*context, *request, response, *parts_.resolver, *parts_.keeper, shares_);
}

}  // namespace keystead::backend
