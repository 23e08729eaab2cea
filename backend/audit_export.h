// TenantAdmin.Audit: a tenant's log as a stream, behind a head that the provider signed.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <string_view>

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

 private:
  class Call;
  const Parts parts_;
  CallPlaces places_;
};

}  // namespace keystead::backend
