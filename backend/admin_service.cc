#include "backend/admin_service.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backend/audit_log.h"
#include "backend/rows.h"
#include "core/base/status.h"
#include "core/identity/peer_event.h"
#include "core/observe/log.h"
#include "core/transport/authorization.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {
namespace {

constexpr size_t kMaxListed = 1000;
constexpr size_t kMaxCaBytes = 64 << 10;
constexpr std::string_view kEvent = "admin_refused";
constexpr absl::Duration kComeBackForCalls = absl::Seconds(1);
constexpr absl::Duration kComeBackForErasures = absl::Seconds(10);

}  // namespace

AdminService::AdminService(const Parts& parts)
    : parts_(parts),
      calls_{CallPlaces({.total = 512, .of_group = 64, .of_caller = 16, .of_caller_alone = 64}),
             parts.executor, peer_limits::kAdminCalls, kComeBackForCalls},
      erasures_{CallPlaces({.total = 512, .of_group = 1, .of_caller = 512}), parts.erasures,
                peer_limits::kErasures, kComeBackForErasures} {}

void AdminService::Enter(grpc::ServerUnaryReactor* reactor, std::shared_ptr<const Principal> caller,
                         Line& line, std::string_view group, Work work) {
  CallPlaces::Place place = line.places.Enter(group, caller->uri());
  if (place == nullptr) {
    const absl::Status full = ReportLimit(*caller, "administration: too many calls are under way",
                                          LimitReached(line.limit, line.retry_after));
    return reactor->Finish(ToPeer(full, kEvent));
  }
  line.executor->Post(group, [reactor, caller = std::move(caller), place = std::move(place),
                              work = std::move(work)]() mutable {
    const absl::Status status = work(*caller);
    place.reset();  // before the answer: who has it may come again
    reactor->Finish(ToPeer(status, kEvent));
  });
}

grpc::ServerUnaryReactor* AdminService::Run(grpc::CallbackServerContext& context, Work work) {
  return RunIn(
      calls_, context, [](const Principal& caller) { return caller.tenant(); }, std::move(work));
}

// An administrator has no place in the line of another tenant, whatever it asks for.
grpc::ServerUnaryReactor* AdminService::RunErasure(grpc::CallbackServerContext& context,
                                                   std::string_view tenant, Work work) {
  const auto group = [tenant](const Principal& caller) {
    const auto named = TenantName::Parse(tenant);
    return caller.role() == Role::kOperator && named.ok() ? *named : caller.tenant();
  };
  return RunIn(erasures_, context, group, std::move(work));
}

grpc::ServerUnaryReactor* AdminService::RunIn(Line& line, grpc::CallbackServerContext& context,
                                              const std::function<TenantName(const Principal&)>& group,
                                              Work work) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  auto caller = PrincipalOf(context, *parts_.resolver);
  if (!caller.ok()) {
    reactor->Finish(ToPeer(caller.status(), kEvent));
    return reactor;
  }
  const TenantName of = group(**caller);
  Enter(reactor, *std::move(caller), line, of.str(), std::move(work));
  return reactor;
}

// "Not yours" and "does not exist" are one answer, also for a name that could be nobody's.
absl::StatusOr<TenantView> AdminService::Find(const Principal& caller, std::string_view name) const {
  const absl::StatusOr<TenantName> parsed = TenantName::Parse(name);
  if (parsed.ok()) {
    absl::StatusOr<TenantView> view = parts_.tenants->Administered(caller, *parsed);
    if (view.ok()) return view;
  }
  ReportPeer(SecurityEventKind::kNotPermitted, caller, "administration: no such tenant for this caller");
  return absl::NotFoundError("no such tenant for this caller");
}

grpc::ServerUnaryReactor* AdminService::Create(grpc::CallbackServerContext* context,
                                               const v1::CreateTenantRequest* request,
                                               v1::CreateTenantResponse*) {
  return Run(*context, [this, request](const Principal& caller) -> absl::Status {
    if (request->ca_pem().size() > kMaxCaBytes)
      return absl::InvalidArgumentError("more certificates than a tenant may have");
    KS_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(request->tenant()));
    TenantLimits limits;
    if (request->has_limits()) {
      KS_ASSIGN_OR_RETURN(limits, LimitsFrom(request->limits()));
    }
    KS_RETURN_IF_ERROR(parts_.tenants->Create(name, request->ca_pem(),
                                              request->has_limits() ? &limits : nullptr, caller.uri()));
    Log(LogLevel::kInfo, "tenant_created", {{"tenant", name.str()}, {"peer", caller.uri()}});
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::List(grpc::CallbackServerContext* context,
                                             const v1::ListTenantsRequest* request,
                                             v1::ListTenantsResponse* response) {
  return Run(*context, [this, request, response](const Principal& caller) {
    for (const TenantName& name : parts_.tenants->Names(caller, request->after(), kMaxListed))
      response->add_tenants(name.str());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::GetLimits(grpc::CallbackServerContext* context,
                                                  const v1::GetLimitsRequest* request,
                                                  v1::GetLimitsResponse* response) {
  return Run(*context, [this, request, response](const Principal& caller) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const TenantView tenant, Find(caller, request->tenant()));
    *response->mutable_limits() = ToMessage(tenant.account().limits());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::SetLimits(grpc::CallbackServerContext* context,
                                                  const v1::SetLimitsRequest* request,
                                                  v1::SetLimitsResponse*) {
  return Run(*context, [this, request](const Principal& caller) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const TenantView tenant, Find(caller, request->tenant()));
    KS_ASSIGN_OR_RETURN(const TenantLimits limits, LimitsFrom(request->limits()));
    KS_RETURN_IF_ERROR(parts_.tenants->SetLimits(tenant, limits, caller.uri()));
    Log(LogLevel::kInfo, "limits_set", {{"tenant", tenant.name().str()}, {"peer", caller.uri()}});
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::Usage(grpc::CallbackServerContext* context,
                                              const v1::UsageRequest* request, v1::UsageResponse* response) {
  return Run(*context, [this, request, response](const Principal& caller) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const TenantView tenant, Find(caller, request->tenant()));
    KS_ASSIGN_OR_RETURN(const auto count,
                        parts_.store->Get(tenant.number(), kCountTable, kInstantiationCount));
    if (count.has_value()) {
      KS_ASSIGN_OR_RETURN(const uint64_t instantiations, DecodeNumber(*count));
      response->set_instantiations(instantiations);
    }
    const TenantUsage usage = tenant.account().Usage();
    response->set_connections(usage.connections);
    response->set_streams(usage.streams);
    response->set_subscriptions(usage.subscriptions);
    response->set_stored_bytes(usage.stored.bytes);
    response->set_stored_groups(usage.stored.groups);
    response->set_peers_seen(usage.peers_seen);
    response->set_records_in(usage.records_in);
    response->set_bytes_in(usage.bytes_in);
    response->set_groups_out(usage.groups_out);
    response->set_bytes_out(usage.bytes_out);
    response->set_commits(usage.commits);
    response->mutable_refused()->insert(usage.refused.begin(), usage.refused.end());
    const FairQueue::Usage queue = parts_.queue->UsageOf(tenant);
    response->set_queue_bytes(queue.waiting_bytes);
    response->set_queue_seconds(absl::ToDoubleSeconds(queue.waited));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminService::RotateKey(grpc::CallbackServerContext* context,
                                                  const v1::RotateKeyRequest* request,
                                                  v1::RotateKeyResponse* response) {
  return Run(*context, [this, request, response](const Principal& caller) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const TenantView tenant, Find(caller, request->tenant()));
    KS_RETURN_IF_ERROR(ReportLimit(caller, tenant.account().AdmitRotation()));
    KS_ASSIGN_OR_RETURN(const uint32_t version, parts_.ciphers->keys().Rotate(tenant.number()));
    KS_ASSIGN_OR_RETURN(const auto cipher, parts_.ciphers->Of(tenant.number()));
    KS_RETURN_IF_ERROR(cipher->TakeNewVersion());
    response->set_version(version);
    const audit::Event rotated{caller.uri(), "key_rotated", tenant.name().str(),
                               absl::StrCat("version ", version)};
    parts_.log->Record(AuditBook(tenant), rotated);
    parts_.notes->NoteForProvider(caller, rotated);
    Log(LogLevel::kInfo, "key_rotated",
        {{"tenant", tenant.name().str()}, {"version", version}, {"peer", caller.uri()}});
    return absl::OkStatus();
  });
}

// A receipt is signed with the audit key as it is now, so its certificates are those of now; where a test
// signs by itself there are none.
void AdminService::SetReceipt(const Bytes& receipt, v1::EraseResponse* response) const {
  response->set_receipt(ToString(receipt));
  if (const absl::StatusOr<SigningIdentity> signer = parts_.log->Signer(); signer.ok())
    response->set_chain_pem(signer->chain_pem);
}

grpc::ServerUnaryReactor* AdminService::EraseTenant(grpc::CallbackServerContext* context,
                                                    const v1::EraseTenantRequest* request,
                                                    v1::EraseResponse* response) {
  return RunErasure(
      *context, request->tenant(), [this, request, response](const Principal& caller) -> absl::Status {
        const absl::StatusOr<TenantName> name = TenantName::Parse(request->tenant());
        if (caller.role() == Role::kOperator && name.ok()) {
          const absl::StatusOr<Bytes> again = parts_.erasure->ReceiptOf(*name);
          if (again.ok()) SetReceipt(*again, response);
          if (again.ok() || !(absl::IsNotFound(again.status()) || absl::IsFailedPrecondition(again.status())))
            return again.status();
        }
        KS_ASSIGN_OR_RETURN(const TenantView tenant, Find(caller, request->tenant()));
        KS_ASSIGN_OR_RETURN(const Bytes receipt, parts_.erasure->EraseTenant(tenant, caller.uri()));
        SetReceipt(receipt, response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* AdminService::EraseInstantiation(grpc::CallbackServerContext* context,
                                                           const v1::EraseInstantiationRequest* request,
                                                           v1::EraseResponse* response) {
  return RunErasure(
      *context, request->tenant(), [this, request, response](const Principal& caller) -> absl::Status {
        KS_ASSIGN_OR_RETURN(const TenantView tenant, Find(caller, request->tenant()));
        KS_ASSIGN_OR_RETURN(const InstantiationId id, InstantiationId::FromBytes(request->instantiation()));
        const auto noted = parts_.copies->NoteErasure();
        KS_ASSIGN_OR_RETURN(const Bytes receipt, parts_.erasure->EraseInstantiation(tenant, id, caller));
        if (caller.role() != Role::kOperator)  // of an operator's it stands there from the beginning
          parts_.notes->NoteForProvider(caller, {caller.uri(), "instantiation_erased", tenant.name().str(),
                                                 absl::StrCat("instantiation ", id.ToHex())});
        SetReceipt(receipt, response);
        return absl::OkStatus();
      });
}

grpc::ServerWriteReactor<v1::AuditChunk>* AdminService::Audit(grpc::CallbackServerContext* context,
                                                              const v1::AuditRequest* request) {
  return parts_.audit->Open(*context, *request, [this](const Principal& caller, std::string_view name) {
    return Find(caller, name);
  });
}

grpc::ServerWriteReactor<v1::CopyChunk>* AdminService::Backup(grpc::CallbackServerContext* context,
                                                              const v1::BackupRequest* request) {
  return parts_.copies->Backup(*context, *request, [this](const Principal& caller, std::string_view name) {
    return Find(caller, name);
  });
}

grpc::ServerWriteReactor<v1::CopyChunk>* AdminService::Export(grpc::CallbackServerContext* context,
                                                              const v1::ExportRequest* request) {
  return parts_.copies->Export(*context, *request, [this](const Principal& caller, std::string_view name) {
    return Find(caller, name);
  });
}

grpc::ServerReadReactor<v1::RestoreRequest>* AdminService::Restore(grpc::CallbackServerContext* context,
                                                                   v1::RestoreResponse* response) {
  return parts_.copies->Restore(*context, response, [this](const Principal& caller, std::string_view name) {
    return Find(caller, name);
  });
}

}  // namespace keystead::backend
