// Issues operational certificates for the tenants that gave this backend an enrollment key.
// docs/decisions/0025-enrollment.md.
#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/rate_limiter.h"
#include "core/identity/enrollment.h"
#include "core/identity/issuer.h"

namespace keystead::backend {

// Thread-safe.
class Enrollment {
 public:
  struct Options {
    std::string folder;  // <folder>/<tenant name>/enrollment/; empty: nothing is issued
    absl::Duration lifetime = absl::Hours(7 * 24);
    Rate requests_of_caller{.per_second = 20, .burst = 2000};       // a gateway asks for all behind it
    Rate certificates_of_one{.per_second = 1.0 / 600, .burst = 6};  // one factory identity
    const Clock* clock = &Clock::System();
  };
  // Reads the keys that are there: ca.pem, ca.key, chain.pem. Errors name the file.
  static absl::StatusOr<std::unique_ptr<Enrollment>> Open(const Options& options,
                                                          const PrincipalResolver* resolver);

  // Looks at the keys again: one that is new or exchanged counts, one of which a file is gone is withdrawn;
  // one that does not fit together is left as it was, and the first such error returned. About once a second,
  // always from one thread.
  absl::Status Refresh();

  // A chain for whom the request proves to be; it need not be the caller's own, who may be a courier, but is
  // of the caller's tenant: a product of another is UNAUTHENTICATED, as one of a tenant that is not here is.
  // NOT_FOUND, RESOURCE_EXHAUSTED or INVALID_ARGUMENT. THREAD: an executor's; takes some 0.4 ms.
  struct Issued {
    std::string chain_pem;
    SpiffeId id;
    std::string serial;
    std::string factory_serial;
    absl::Time not_after;
  };
  absl::StatusOr<Issued> Enroll(const Principal& caller, const EnrollmentRequest& request);

 private:
  struct KeyFiles;
  absl::Status Load(const std::string& name, const KeyFiles& files);
  std::shared_ptr<const CertificateIssuer> IssuerOf(const TenantName& tenant) const;
  Enrollment(const Options& options, const PrincipalResolver* resolver);

  const Options options_;
  const PrincipalResolver* const resolver_;
  absl::flat_hash_map<std::string, std::string> stamps_;  // of each folder's files. Refresh only
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<TenantName, std::shared_ptr<const CertificateIssuer>> issuers_ ABSL_GUARDED_BY(mutex_);
  RateLimiter requests_;
  RateLimiter certificates_;
};

}  // namespace keystead::backend
