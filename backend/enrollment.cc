#include "backend/enrollment.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"

namespace keystead::backend {
namespace {

constexpr absl::Duration kBackdated = absl::Minutes(5);  // for clocks that are behind

absl::Status TooOften(const Principal& who, std::string_view what) {
  Report({.kind = SecurityEventKind::kLimitExceeded,
          .tenant = who.tenant().str(),
          .peer = who.uri(),
          .detail = std::string(what)});
  return absl::ResourceExhaustedError(Absl(what));
}

}  // namespace

Enrollment::Enrollment(const Options& options, const PrincipalResolver* resolver)
    : options_(options),
      resolver_(resolver),
      requests_(options.requests_of_caller, options.clock),
      certificates_(options.certificates_of_one, options.clock) {}

absl::StatusOr<std::unique_ptr<Enrollment>> Enrollment::Open(const Options& options,
                                                             const PrincipalResolver* resolver) {
  std::unique_ptr<Enrollment> out(new Enrollment(options, resolver));
  if (options.folder.empty()) return out;
  std::error_code error;
  for (std::filesystem::directory_iterator it(options.folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::filesystem::path folder = it->path() / "enrollment";
    // A name that begins with a dot is one that is still being written (certs/README.md).
    if (it->path().filename().string().starts_with('.') || !std::filesystem::exists(folder, error)) continue;
    absl::StatusOr<CertificateIssuer> issuer = CertificateIssuer::Load(
        {(folder / "ca.pem").string(), (folder / "ca.key").string(), (folder / "chain.pem").string()});
    if (!issuer.ok()) return issuer.status();
    const absl::StatusOr<TenantName> tenant = TenantName::Parse(it->path().filename().string());
    if (!tenant.ok())
      return absl::InvalidArgumentError(absl::StrCat(it->path().string(), ": ", tenant.status().message()));
    out->issuers_.emplace(*tenant, *std::move(issuer));
  }
  if (error) return absl::NotFoundError(absl::StrCat(options.folder, ": ", error.message()));
  return out;
}

absl::StatusOr<Enrollment::Issued> Enrollment::Enroll(const Principal& caller,
                                                      const EnrollmentRequest& request) {
  if (!requests_.Take(caller.uri()))
    return TooOften(caller, "enrollment: more requests than the rate allows");
  KS_ASSIGN_OR_RETURN(const Enrollee enrollee, VerifyEnrollment(request, *resolver_));
  // Whose courier it is decides what it may bring. The answer is the one for a tenant that has no key here.
  const auto issuer = issuers_.find(enrollee.id.tenant());
  if (caller.tenant() != enrollee.id.tenant() || issuer == issuers_.end()) {
    Report({.kind = SecurityEventKind::kNotPermitted,
            .tenant = enrollee.id.tenant().str(),
            .peer = caller.uri(),
            .detail = "enrollment: no key for this tenant and caller"});
    return absl::NotFoundError("no enrollment for this caller");
  }
  if (!certificates_.Take(enrollee.factory->uri()))
    return TooOften(*enrollee.factory, "enrollment: certificates are asked for too often");
  const absl::Time now = options_.clock->Now();
  LeafRequest leaf;
  leaf.id = enrollee.id;
  leaf.not_before = now - kBackdated;
  leaf.not_after = std::min(now + options_.lifetime, enrollee.factory->not_after());
  leaf.server = enrollee.id.role() == Role::kGateway;
  if (leaf.server) leaf.dns_names = {enrollee.id.tenant().str()};
  KS_ASSIGN_OR_RETURN(const IssuedLeaf issued, issuer->second.IssueFor(leaf, enrollee.public_key_pem));
  Log(LogLevel::kInfo, "certificate_issued",
      {{"peer", enrollee.id.str()},
       {"factory_serial", enrollee.factory->serial()},
       {"courier", caller.uri()},
       {"not_after", absl::FormatTime(absl::RFC3339_sec, leaf.not_after, absl::UTCTimeZone())}});
  return Issued{issued.chain_pem, enrollee.id, issued.serial, enrollee.factory->serial(), leaf.not_after};
}

}  // namespace keystead::backend
