#include "backend/enrollment.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/identity/file_access.h"
#include "core/identity/peer_event.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"

namespace keystead::backend {
namespace {

constexpr absl::Duration kBackdated = absl::Minutes(5);  // for clocks that are behind

absl::Status NotPermitted(const Principal& caller, const Enrollee& enrollee, const absl::Status& why) {
  Report({.kind = SecurityEventKind::kNotPermitted,
          .tenant = enrollee.id.tenant().str(),
          .peer = caller.uri(),
          .detail = std::string(why.message())});
  return why;
}

}  // namespace

// The three files of one tenant's key.
struct Enrollment::KeyFiles {
  explicit KeyFiles(const std::filesystem::path& folder)
      : ca((folder / "ca.pem").string()),
        key((folder / "ca.key").string()),
        chain((folder / "chain.pem").string()) {}
  // Empty when one of them is not there.
  std::string Stamp() const {
    const std::string stamps[] = {FileStamp(ca), FileStamp(key), FileStamp(chain)};
    for (const std::string& stamp : stamps) {
      if (stamp.empty()) return {};
    }
    return absl::StrCat(stamps[0], " ", stamps[1], " ", stamps[2]);
  }
  const std::string ca;
  const std::string key;
  const std::string chain;
};

Enrollment::Enrollment(const Options& options, const PrincipalResolver* resolver)
    : options_(options),
      resolver_(resolver),
      requests_(options.requests_of_caller, options.clock),
      certificates_(options.certificates_of_one, options.clock) {}

absl::StatusOr<std::unique_ptr<Enrollment>> Enrollment::Open(const Options& options,
                                                             const PrincipalResolver* resolver) {
  std::unique_ptr<Enrollment> out(new Enrollment(options, resolver));
  KS_RETURN_IF_ERROR(out->Refresh());
  return out;
}

absl::Status Enrollment::Refresh() {
  if (options_.folder.empty()) return absl::OkStatus();
  absl::Status first;
  absl::flat_hash_set<std::string> seen;
  std::error_code error;
  for (std::filesystem::directory_iterator it(options_.folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    // A name that begins with a dot is one that is still being written (certs/README.md).
    if (name.starts_with('.')) continue;
    const KeyFiles files(it->path() / "enrollment");
    std::string stamp = files.Stamp();
    if (stamp.empty()) continue;
    seen.insert(name);
    if (stamps_[name] == stamp) continue;
    first.Update(Load(name, files));
    stamps_[name] = std::move(stamp);  // what is wrong is told of once, and read again when it has changed
  }
  if (error) return absl::NotFoundError(absl::StrCat(options_.folder, ": ", error.message()));
  std::vector<std::string> gone;
  for (const auto& [name, stamp] : stamps_) {
    if (!seen.contains(name)) gone.push_back(name);
  }
  for (const std::string& name : gone) {
    stamps_.erase(name);
    const absl::StatusOr<TenantName> tenant = TenantName::Parse(name);
    if (!tenant.ok()) continue;
    Log(LogLevel::kWarning, "enrollment_key_withdrawn", {{"tenant", name}});
    absl::MutexLock lock(&mutex_);
    issuers_.erase(*tenant);
  }
  return first;
}

absl::Status Enrollment::Load(const std::string& name, const KeyFiles& files) {
  absl::StatusOr<CertificateIssuer> issuer = CertificateIssuer::Load({files.ca, files.key, files.chain});
  if (!issuer.ok()) return issuer.status();
  const absl::StatusOr<TenantName> tenant = TenantName::Parse(name);
  if (!tenant.ok())
    return absl::InvalidArgumentError(
        absl::StrCat(options_.folder, "/", name, ": ", tenant.status().message()));
  absl::MutexLock lock(&mutex_);
  issuers_[*tenant] = std::make_shared<const CertificateIssuer>(*std::move(issuer));
  return absl::OkStatus();
}

std::shared_ptr<const CertificateIssuer> Enrollment::IssuerOf(const TenantName& tenant) const {
  absl::MutexLock lock(&mutex_);
  const auto found = issuers_.find(tenant);
  return found == issuers_.end() ? nullptr : found->second;
}

absl::StatusOr<Enrollment::Issued> Enrollment::Enroll(const Principal& caller,
                                                      const EnrollmentRequest& request) {
  KS_RETURN_IF_ERROR(ReportLimit(caller, "enrollment: more requests than the rate allows",
                                 TakeRate(requests_, caller.uri(), peer_limits::kEnrollments)));
  KS_ASSIGN_OR_RETURN(const Enrollee enrollee, VerifyEnrollment(request, *resolver_));
  // Whose courier it is decides what it may bring. The answer is the one for a tenant that is not here.
  if (caller.tenant() != enrollee.id.tenant())
    return NotPermitted(caller, enrollee, absl::UnauthenticatedError("enrollment: another tenant's product"));
  const std::shared_ptr<const CertificateIssuer> issuer = IssuerOf(enrollee.id.tenant());
  if (issuer == nullptr)
    return NotPermitted(caller, enrollee, absl::NotFoundError("enrollment: no key for this tenant"));
  KS_RETURN_IF_ERROR(
      ReportLimit(*enrollee.factory, "enrollment: certificates are asked for too often",
                  TakeRate(certificates_, enrollee.factory->uri(), peer_limits::kCertificates)));
  const absl::Time now = options_.clock->Now();
  LeafRequest leaf;
  leaf.id = enrollee.id;
  leaf.not_before = now - kBackdated;
  leaf.not_after = std::min(now + options_.lifetime, enrollee.factory->not_after());
  leaf.server = enrollee.id.role() == Role::kGateway;
  if (leaf.server) leaf.dns_names = {enrollee.id.tenant().str()};
  KS_ASSIGN_OR_RETURN(const IssuedLeaf issued, issuer->IssueFor(leaf, enrollee.public_key_pem));
  Log(LogLevel::kInfo, "certificate_issued",
      {{"tenant", enrollee.id.tenant().str()},
       {"peer", enrollee.id.str()},
       {"factory_serial", enrollee.factory->serial()},
       {"courier", caller.uri()},
       {"not_after", absl::FormatTime(absl::RFC3339_sec, leaf.not_after, absl::UTCTimeZone())}});
  return Issued{issued.chain_pem, enrollee.id, issued.serial, enrollee.factory->serial(), leaf.not_after};
}

}  // namespace keystead::backend
