// keystead.v1.TenantAdmin over Tenants.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string_view>

#include "backend/audit_export.h"
#include "backend/backup/tenant_copies.h"
#include "backend/erasure.h"
#include "backend/fair_queue.h"
#include "backend/tenant_view.h"
#include "core/base/call_places.h"
#include "core/storage/log_store.h"
#include "core/transport/executor.h"
#include "keystead/v1/admin.grpc.pb.h"

namespace keystead::backend {

class AdminService final : public v1::TenantAdmin::CallbackService {
 public:
  struct Parts {  // nothing is owned
    const PrincipalResolver* resolver = nullptr;
    Tenants* tenants = nullptr;
    FairQueue* queue = nullptr;
    const storage::LogStore* store = nullptr;
    at_rest::Ciphers* ciphers = nullptr;
    Erasure* erasure = nullptr;
    Executor* executor = nullptr;  // of its own, for what takes a commit or two
    Executor* erasures = nullptr;  // another, for what takes long
    AuditExport* audit = nullptr;
    const AuditLog* log = nullptr;
    TenantCopies* copies = nullptr;
    AuditNotes* notes = nullptr;
  };
  explicit AdminService(const Parts& parts);

  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* context,
                                   const v1::CreateTenantRequest* request,
                                   v1::CreateTenantResponse* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListTenantsRequest* request,
                                 v1::ListTenantsResponse* response) override;
  grpc::ServerUnaryReactor* GetLimits(grpc::CallbackServerContext* context,
                                      const v1::GetLimitsRequest* request,
                                      v1::GetLimitsResponse* response) override;
  grpc::ServerUnaryReactor* SetLimits(grpc::CallbackServerContext* context,
                                      const v1::SetLimitsRequest* request,
                                      v1::SetLimitsResponse* response) override;
  grpc::ServerUnaryReactor* Usage(grpc::CallbackServerContext* context, const v1::UsageRequest* request,
                                  v1::UsageResponse* response) override;
  grpc::ServerUnaryReactor* RotateKey(grpc::CallbackServerContext* context,
                                      const v1::RotateKeyRequest* request,
                                      v1::RotateKeyResponse* response) override;
  grpc::ServerUnaryReactor* EraseTenant(grpc::CallbackServerContext* context,
                                        const v1::EraseTenantRequest* request,
                                        v1::EraseResponse* response) override;
  grpc::ServerUnaryReactor* EraseInstantiation(grpc::CallbackServerContext* context,
                                               const v1::EraseInstantiationRequest* request,
                                               v1::EraseResponse* response) override;
  grpc::ServerWriteReactor<v1::AuditChunk>* Audit(grpc::CallbackServerContext* context,
                                                  const v1::AuditRequest* request) override;
  grpc::ServerWriteReactor<v1::CopyChunk>* Backup(grpc::CallbackServerContext* context,
                                                  const v1::BackupRequest* request) override;
  grpc::ServerWriteReactor<v1::CopyChunk>* Export(grpc::CallbackServerContext* context,
                                                  const v1::ExportRequest* request) override;
  grpc::ServerReadReactor<v1::RestoreRequest>* Restore(grpc::CallbackServerContext* context,
                                                       v1::RestoreResponse* response) override;

 private:
  using Work = std::function<absl::Status(const Principal&)>;
  // Runs `work` on the executor, because it may wait for the store, and finishes the call with what it says.
  // Request and response live until then.
  void SetReceipt(const Bytes& receipt, v1::EraseResponse* response) const;
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext& context, Work work);
  // Likewise on the other one. Of each tenant one erasure at a time waits or is under way, so that whoever
  // else wants to erase something waits for at most one of each.
  grpc::ServerUnaryReactor* RunErasure(grpc::CallbackServerContext& context, std::string_view tenant,
                                       Work work);
  struct Line {
    CallPlaces places;
    Executor* executor;
    std::string_view limit;  // its name in a refusal
    absl::Duration retry_after;
  };
  // `group`: in whose name a caller takes its place.
  grpc::ServerUnaryReactor* RunIn(Line& line, grpc::CallbackServerContext& context,
                                  const std::function<TenantName(const Principal&)>& group, Work work);
  static void Enter(grpc::ServerUnaryReactor* reactor, std::shared_ptr<const Principal> caller, Line& line,
                    std::string_view group, Work work);
  absl::StatusOr<TenantView> Find(const Principal& caller, std::string_view name) const;

  const Parts parts_;
  Line calls_;
  Line erasures_;
};

}  // namespace keystead::backend
