// What a tenant's records are kept for: by age, and by bytes of all its topics together, the oldest first.
// Commits of instantiations stay: without them nobody could verify anything.
#pragma once

#include <atomic>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "backend/piecewise_trim.h"
#include "backend/tenant_view.h"
#include "core/base/clock.h"
#include "core/transport/record_log.h"

namespace keystead::backend {

class Retention {
 public:
  struct Parts {  // nothing is owned
    const Tenants* tenants = nullptr;
    storage::LogStore* store = nullptr;
    RecordLog* log = nullptr;
    const Clock* clock = &Clock::System();
  };
  explicit Retention(const Parts& parts) : parts_(parts), trim_({parts.store, parts.log}) {}

  // One pass over all tenants that have limits for it. Records go in steps of a checkpoint of their topic (64
  // groups or 1 MiB), so a little more than the limit may stay. Waits for the writer: not on its thread.
  void Run();

 private:
  absl::Status Apply(const TenantView& tenant);
  // How old the records may be so that at most `bytes` stay.
  absl::StatusOr<absl::Duration> AgeFor(const TenantView& tenant, uint64_t bytes) const;
  template <class Visit>
  absl::Status ForEachPage(const TenantView& tenant, const Visit& visit) const;

  const Parts parts_;
  PiecewiseTrim trim_;
};

}  // namespace keystead::backend
