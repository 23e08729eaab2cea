// TenantAdmin.Audit: a tenant's log as a stream, behind a head that the provider signed.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "backend/audit_log.h"
#include "backend/audit_notes.h"
#include "core/base/call_places.h"
#include "core/transport/executor.h"
#include "keystead/v1/admin.pb.h"

namespace keystead::backend {

// Thread-safe.
class AuditExport {
 public:
  struct Parts {  // nothing is owned
    const PrincipalResolver* resolver = nullptr;
    const AuditLog* log = nullptr;
    AuditNotes* notes = nullptr;
    Executor* executor = nullptr;
  };
  explicit AuditExport(const Parts& parts)
      : parts_(parts), places_({.total = 256, .of_group = 4, .of_caller = 2}) {}

  using Find = std::function<absl::StatusOr<TenantView>(const Principal& caller, std::string_view name)>;
  using Reactor = grpc::ServerWriteReactor<v1::AuditChunk>;
  // `find`: the tenant that the caller may administer. The request lives until the call is done.
  Reactor* Open(const grpc::CallbackServerContext& context, const v1::AuditRequest& request, Find find);

  // Ends the open exports to peers of a tenant and of its log; who does not read sees CANCELLED.
  void EndOf(const TenantName& tenant);

 private:
  class Call;
  const Parts parts_;
  CallPlaces places_;
  absl::Mutex mutex_;
  absl::flat_hash_map<const Call*, std::shared_ptr<Call>> open_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::backend
