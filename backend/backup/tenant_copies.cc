#include "backend/backup/tenant_copies.h"

#include <utility>

#include "backend/backup/backup_stream.h"
#include "backend/backup/export_stream.h"
#include "core/base/status.h"
#include "core/observe/log.h"

namespace keystead::backend {

void TenantCopies::FinishInterrupted() const {
  parts_.restoration.tenants->ForEach([&](const TenantView& tenant) {
    const absl::Status status = RecordRestored(*parts_.restoration.store, *parts_.restoration.audit, tenant);
    if (status.ok()) return;
    Log(LogLevel::kError, "restoration_not_recorded",
        {{"tenant", tenant.name().str()}, {"reason", Std(status.message())}});
  });
}

void TenantCopies::Record(const Principal& caller, const TenantView& tenant, std::string_view action) const {
  const audit::Event event{caller.uri(), std::string(action), tenant.name().str(), ""};
  parts_.restoration.audit->Record(AuditBook(tenant), event);
  parts_.notes->NoteForProvider(caller, event);
  Log(LogLevel::kInfo, "tenant_copied",
      {{"tenant", tenant.name().str()}, {"action", action}, {"peer", caller.uri()}});
}

absl::StatusOr<std::unique_ptr<CopySource>> TenantCopies::OpenBackup(const Principal& caller,
                                                                     const TenantView& tenant) {
  Record(caller, tenant, "backup_taken");
  return BackupStream::Begin(*parts_.restoration.disk, parts_.restoration.ciphers->keys(),
                             {.store = parts_.restoration.store_id,
                              .tenant = tenant.name(),
                              .number = tenant.number(),
                              .taken = parts_.clock->Now()});
}

absl::StatusOr<std::unique_ptr<CopySource>> TenantCopies::OpenExport(const Principal& caller,
                                                                     const TenantView& tenant) {
  Record(caller, tenant, "data_exported");
  return ExportStream::Begin(
      *parts_.restoration.disk, *parts_.restoration.ciphers, tenant.number(),
      {.provider = parts_.provider, .tenant = tenant.name(), .taken = parts_.clock->Now()},
      [audit = parts_.restoration.audit] { return audit->Signer(); });
}

absl::StatusOr<std::unique_ptr<Restoration>> TenantCopies::OpenRestoration(const Principal& caller,
                                                                           const TenantView& tenant) {
  uint64_t begun = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (erasures_running_ > 0) return absl::AbortedError("something is being erased: try again");
    begun = erasures_begun_;
  }
  return std::make_unique<Restoration>(parts_.restoration, tenant, caller.uri(), [this, begun] {
    absl::MutexLock lock(&mutex_);
    return erasures_begun_ == begun;
  });
}

std::shared_ptr<const void> TenantCopies::NoteErasure() {
  absl::MutexLock lock(&mutex_);
  ++erasures_begun_;
  ++erasures_running_;
  return std::shared_ptr<const void>(this, [this](const void*) {
    absl::MutexLock ended(&mutex_);
    --erasures_running_;
  });
}

TenantCopies::Writer* TenantCopies::Backup(const grpc::CallbackServerContext& context,
                                           const v1::BackupRequest& request, Find find) {
  return Send(context,
              [this, &request, find = std::move(find)](
                  const Principal& caller) -> absl::StatusOr<std::unique_ptr<CopySource>> {
                KS_ASSIGN_OR_RETURN(const TenantView tenant, find(caller, request.tenant()));
                return OpenBackup(caller, tenant);
              });
}

TenantCopies::Writer* TenantCopies::Export(const grpc::CallbackServerContext& context,
                                           const v1::ExportRequest& request, Find find) {
  return Send(context,
              [this, &request, find = std::move(find)](
                  const Principal& caller) -> absl::StatusOr<std::unique_ptr<CopySource>> {
                KS_ASSIGN_OR_RETURN(const TenantView tenant, find(caller, request.tenant()));
                return OpenExport(caller, tenant);
              });
}

}  // namespace keystead::backend
