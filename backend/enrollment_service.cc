#include "backend/enrollment_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/transport/authorization.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {
namespace {

constexpr std::string_view kEvent = "enroll_refused";
constexpr size_t kTaskBytes = 1024;

}  // namespace

grpc::ServerUnaryReactor* EnrollmentService::Enroll(grpc::CallbackServerContext* context,
                                                    const v1::EnrollRequest* request,
                                                    v1::EnrollResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  auto caller = PrincipalOf(*context, *parts_.resolver);
  if (!caller.ok()) {
    reactor->Finish(ToPeer(caller.status(), kEvent));
    return reactor;
  }
  // Signatures are not for gRPC's threads. Request and response live until Finish.
  const std::string_view flow = (*caller)->tenant().str();
  parts_.executor->Post(flow, [this, reactor, request, response, caller = *std::move(caller)] {
    absl::StatusOr<Enrollment::Issued> issued =
        enrollment_->Enroll(*caller, {request->factory_chain(), ToBytes(AsBytes(request->proof()))});
    if (!issued.ok()) return reactor->Finish(ToPeer(issued.status(), kEvent));
    response->set_chain(issued->chain_pem);
    Record(*caller, *issued, [reactor, response](const absl::Status& recorded) {
      if (!recorded.ok()) response->Clear();
      reactor->Finish(ToPeer(recorded, kEvent));
    });
  });
  return reactor;
}

void EnrollmentService::Record(const Principal& caller, const Enrollment::Issued& issued,
                               std::function<void(const absl::Status&)> done) const {
  const absl::StatusOr<TenantView> tenant = parts_.tenants->Of(caller);
  if (!tenant.ok()) return done(tenant.status());
  audit::Event event{caller.uri(), "certificate_issued", issued.id.str(),
                     absl::StrCat("serial ", issued.serial, ", good until ",
                                  absl::FormatTime(absl::RFC3339_sec, issued.not_after, absl::UTCTimeZone()),
                                  ", by factory certificate ", issued.factory_serial)};
  const absl::Status taken = parts_.queue->Submit(
      *tenant, storage::MakeTask(
                   kTaskBytes,
                   [log = parts_.audit, book = AuditBook(*tenant), event = std::move(event)](
                       storage::Transaction& transaction) { return log->Append(transaction, book, event); },
                   done));
  if (!taken.ok()) done(taken);
}

}  // namespace keystead::backend
