// Issues operational certificates for the tenants that gave this backend an enrollment key.
// docs/decisions/0025-enrollment.md.
#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
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

  // A chain for whom the request proves to be; it need not be the caller's own, who may be a courier, but is
  // of the caller's tenant. UNAUTHENTICATED, NOT_FOUND, RESOURCE_EXHAUSTED or INVALID_ARGUMENT. THREAD: an
  // executor's; takes some 0.4 ms.
  struct Issued {
    std::string chain_pem;
    SpiffeId id;
    std::string serial;
    std::string factory_serial;
    absl::Time not_after;
  };
  absl::StatusOr<Issued> Enroll(const Principal& caller, const EnrollmentRequest& request);

 private:
  Enrollment(const Options& options, const PrincipalResolver* resolver);

  const Options options_;
  const PrincipalResolver* const resolver_;
  absl::flat_hash_map<TenantName, CertificateIssuer> issuers_;
  RateLimiter requests_;
  RateLimiter certificates_;
};

}  // namespace keystead::backend
