// TenantAdmin.Backup, Restore and Export.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "backend/audit_notes.h"
#include "backend/backup/copy_source.h"
#include "backend/backup/restoration.h"
#include "core/base/call_places.h"
#include "core/base/clock.h"
#include "core/transport/executor.h"
#include "keystead/v1/admin.pb.h"

namespace keystead::backend {

// Thread-safe.
class TenantCopies {
 public:
  struct Parts {  // nothing is owned
    const PrincipalResolver* resolver = nullptr;
    Executor* executor = nullptr;  // of its own: copies take long
    std::string provider;          // its name; may be empty
    Restoration::Parts restoration;
    AuditNotes* notes = nullptr;
    const Clock* clock = &Clock::System();
  };
  explicit TenantCopies(const Parts& parts)
      : parts_(parts), places_({.total = 4, .of_group = 4, .of_caller = 2}) {}

  // Before anybody is served: records restorations that were not recorded before the process ended. One that
  // cannot be recorded is logged, and keeps nobody from being served.
  void FinishInterrupted() const;

  using Find = std::function<absl::StatusOr<TenantView>(const Principal& caller, std::string_view name)>;
  using Writer = grpc::ServerWriteReactor<v1::CopyChunk>;
  using Reader = grpc::ServerReadReactor<v1::RestoreRequest>;
  // `find`: the tenant that the caller may administer. Requests and responses live until the call is done.
  Writer* Backup(const grpc::CallbackServerContext& context, const v1::BackupRequest& request, Find find);
  Writer* Export(const grpc::CallbackServerContext& context, const v1::ExportRequest& request, Find find);
  Reader* Restore(const grpc::CallbackServerContext& context, v1::RestoreResponse* response, Find find);

  // While it is held, and for restorations that began before, no restoration takes effect: what is erased
  // must not come back with one.
  std::shared_ptr<const void> NoteErasure();

 private:
  class SourceCall;
  class RestoreCall;
  using Open = std::function<absl::StatusOr<std::unique_ptr<CopySource>>(const Principal& caller)>;
  Writer* Send(const grpc::CallbackServerContext& context, Open open);
  absl::StatusOr<std::unique_ptr<CopySource>> OpenBackup(const Principal& caller, const TenantView& tenant);
  absl::StatusOr<std::unique_ptr<CopySource>> OpenExport(const Principal& caller, const TenantView& tenant);
  absl::StatusOr<std::unique_ptr<Restoration>> OpenRestoration(const Principal& caller,
                                                               const TenantView& tenant);
  void Record(const Principal& caller, const TenantView& tenant, std::string_view action) const;

  const Parts parts_;
  CallPlaces places_;
  absl::Mutex mutex_;
  uint64_t erasures_begun_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t erasures_running_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keystead::backend
