// What others can cause as often as they like goes into an audit log as counts: each kind of refusal a tenant
// met has a ration of entries, and what comes beyond it is added up until there is room. So nobody fills a
// log with refusals, and nothing that was counted is lost but by a crash of the process.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "backend/audit_log.h"
#include "core/base/rate_limiter.h"
#include "core/identity/principal.h"
#include "core/observe/security_event.h"

namespace keystead::backend {

// Thread-safe.
class AuditNotes {
 public:
  struct Options {
    // Of one action and object in one log. A day of constant abuse is 24 entries.
    Rate entries{.per_second = 1.0 / 3600, .burst = 16};
    const Clock* clock = &Clock::System();
  };
  AuditNotes(const AuditLog* log, const Tenants* tenants, const Options& options)
      : log_(log), tenants_(tenants), options_(options), rations_(options.entries, options.clock) {}

  // A security event, if it names a tenant that is here. Who belongs to another tenant is named in the
  // provider's log only. Cheap; never waits for the store.
  void Observe(const SecurityEvent& event);
  // Anything else that its actor could repeat without end. `event.object` must come from a small set.
  void Note(const AuditBook& book, const audit::Event& event, uint64_t count = 1);

  // Of what was done to a tenant, what outlives it: in the provider's log, if it has one. Of a tenant's own
  // administrators, who could fill it, it has counts.
  void NoteForProvider(const Principal& caller, const audit::Event& event);

  // What waits for the log of a tenant that was erased: there is none any more.
  void Forget(uint32_t tenant);

  // Hands to the log what its ration allows; `all`: everything, at the end.
  void Flush(bool all);

 private:
  struct Pending {
    audit::Event latest;
    uint64_t count = 0;
    AuditBook book;
  };
  using Key = std::pair<uint32_t, std::string>;  // whose log; action and object

  const AuditLog* const log_;
  const Tenants* const tenants_;
  const Options options_;
  RateLimiter rations_;
  absl::Mutex mutex_;
  std::map<Key, Pending> pending_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::backend
