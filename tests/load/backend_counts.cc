#include "tests/load/backend_counts.h"

#include <grpcpp/client_context.h>

#include "core/base/status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/admin.grpc.pb.h"

namespace keystead::load {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

absl::Status Ask(v1::TenantAdmin::Stub& stub, const TenantName& tenant, BackendCounts& sum) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  v1::UsageRequest request;
  request.set_tenant(tenant.str());
  v1::UsageResponse usage;
  KS_RETURN_IF_ERROR(FromGrpc(stub.Usage(&context, request, &usage)));
  sum.connections += usage.connections();
  sum.certificates += usage.peers_seen();
  sum.records_in += usage.records_in();
  sum.stored_bytes += usage.stored_bytes();
  sum.queue_bytes += usage.queue_bytes();
  sum.queue_seconds += usage.queue_seconds();
  for (const auto& [limit, count] : usage.refused()) sum.refused[limit] += count;
  return absl::OkStatus();
}

}  // namespace

BackendCounts AskBackend(const Target& target, const std::optional<Identity>& op,
                         const std::vector<TenantName>& tenants) {
  BackendCounts out;
  if (!op) {
    out.answered = absl::NotFoundError("there is no operator's certificate to ask with");
    return out;
  }
  const auto channel = DialAs(target, *op);
  out.answered = channel.status();
  if (!channel.ok()) return out;
  const auto stub = v1::TenantAdmin::NewStub(*channel);
  for (const TenantName& tenant : tenants) {
    out.answered = Ask(*stub, tenant, out);
    if (!out.answered.ok()) return out;
  }
  return out;
}

}  // namespace keystead::load
