// keystead-issue: leaves for the demonstration, the tests and the load generator. See certs/README.md for the
// layout.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/identity/certificate_files.h"
#include "core/identity/file_access.h"
#include "core/identity/issuer.h"
#include "core/identity/revocation_files.h"

namespace keystead {
namespace {

struct Arguments {
  std::string out;
  std::string tenant;
  bool provider = false;
  std::string role = "device";
  std::string id;
  std::string id_prefix;
  size_t count = 1;
  size_t first = 0;
  bool server = false;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  double days = 90;
  std::string not_before;
  std::string not_after;
  bool force = false;
  std::vector<std::string> revoke;
  bool sign_revocations = false;
};

struct Issuing {
  std::filesystem::path folder;  // that holds <role>/<id>, or <id> for the provider's service
  TenantName tenant;
  Role role = Role::kDevice;
  bool is_provider_service = false;
  absl::Time not_before;
  absl::Time not_after;
};

absl::StatusOr<absl::Time> TimeOr(const std::string& text, absl::Time otherwise) {
  if (text.empty()) return otherwise;
  absl::Time out;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &out, &error)) {
    return absl::InvalidArgumentError(absl::StrCat("not a time (2027-01-31T00:00:00Z): ", text));
  }
  return out;
}

absl::StatusOr<Issuing> Plan(const Arguments& arguments) {
  Issuing plan;
  const absl::Time now = absl::Now();
  KS_ASSIGN_OR_RETURN(plan.not_before, TimeOr(arguments.not_before, now - absl::Minutes(5)));
  KS_ASSIGN_OR_RETURN(plan.not_after, TimeOr(arguments.not_after, now + arguments.days * absl::Hours(24)));
  if (arguments.provider) {
    plan.folder = std::filesystem::path(arguments.out) / "provider";
    plan.is_provider_service = arguments.role != RoleName(Role::kOperator);
    plan.role = plan.is_provider_service ? Role::kService : Role::kOperator;
    KS_ASSIGN_OR_RETURN(std::string name, ReadTextFile((plan.folder / "name").string()));
    while (!name.empty() && name.back() == '\n') name.pop_back();
    KS_ASSIGN_OR_RETURN(plan.tenant, TenantName::Parse(name));
    return plan;
  }
  const std::optional<Role> role = RoleFromName(arguments.role);
  if (!role.has_value()) return absl::InvalidArgumentError(absl::StrCat("unknown role: ", arguments.role));
  plan.role = *role;
  KS_ASSIGN_OR_RETURN(plan.tenant, TenantName::Parse(arguments.tenant));
  plan.folder = std::filesystem::path(arguments.out) / "tenants" / arguments.tenant;
  return plan;
}

// The provider's own service is met by peers that know its CA; everybody else is a client of a server that
// knows the admission CA.
absl::StatusOr<CertificateIssuer> LoadIssuer(const Issuing& plan) {
  const std::filesystem::path& folder = plan.folder;
  const std::filesystem::path cross = folder / "cross.pem";
  const bool crossed = std::filesystem::exists(cross) && !plan.is_provider_service;
  return CertificateIssuer::Load(
      {(folder / "ca.pem").string(), (folder / "ca.key").string(), crossed ? cross.string() : std::string()});
}

// A pair that is there, is for this id, comes from this CA and is still good for a third of its life is kept.
bool IsGood(const CertificateFiles& files, const CertificateIssuer& issuer, const SpiffeId& id) {
  const absl::StatusOr<std::string> chain = ReadTextFile(files.chain);
  const absl::StatusOr<SecretBytes> key = ReadSecretFile(files.key);
  if (!chain.ok() || !key.ok() || !issuer.HasIssued(*chain)) return false;
  const absl::Time now = absl::Now();
  const absl::StatusOr<CertificateInfo> info = ValidateCertificatePair(*chain, *key, now);
  return info.ok() && info->id == id && info->not_after - now > (info->not_after - info->not_before) / 3;
}

absl::StatusOr<bool> IssueOne(const Arguments& arguments, const Issuing& plan,
                              const CertificateIssuer& issuer, const std::string& name) {
  LeafRequest request;
  KS_ASSIGN_OR_RETURN(request.id, SpiffeId::Of(plan.tenant, plan.role, name));
  request.not_before = plan.not_before;
  request.not_after = plan.not_after;
  request.server = arguments.server;
  request.dns_names = arguments.dns_names;
  request.ip_addresses = arguments.ip_addresses;
  if (arguments.server) {
    request.dns_names.insert(request.dns_names.begin(), {"localhost", plan.tenant.str()});
    request.ip_addresses.insert(request.ip_addresses.begin(), "127.0.0.1");
  }
  const std::filesystem::path folder =
      plan.is_provider_service ? plan.folder / name : plan.folder / std::string(RoleName(plan.role)) / name;
  const CertificateFiles files{(folder / "chain.pem").string(), (folder / "key.pem").string(), ""};
  if (!arguments.force && IsGood(files, issuer, request.id)) return false;

  KS_ASSIGN_OR_RETURN(const IssuedLeaf leaf, issuer.Issue(request));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::PermissionDeniedError(absl::StrCat(folder.string(), ": ", error.message()));
  KS_ASSIGN_OR_RETURN(PendingFile key,
                      PendingFile::Write(files.key, leaf.key_pem.ExposeSecret(), 0600, false));
  KS_ASSIGN_OR_RETURN(PendingFile chain,
                      PendingFile::Write(files.chain, AsBytes(leaf.chain_pem), 0644, false));
  KS_RETURN_IF_ERROR(key.Commit());
  KS_RETURN_IF_ERROR(chain.Commit());
  return true;
}

absl::Status Revoke(const Arguments& arguments) {
  KS_ASSIGN_OR_RETURN(const TenantName tenant, TenantName::Parse(arguments.tenant));
  const std::filesystem::path folder = std::filesystem::path(arguments.out) / "tenants" / arguments.tenant;
  KS_ASSIGN_OR_RETURN(const uint64_t number, AddRevocations(folder.string(), tenant, arguments.revoke));
  std::puts(absl::StrFormat("%s: revocations number %d in %s", tenant.str(), number,
                            (folder / "revocations.cbor").string())
                .c_str());
  return absl::OkStatus();
}

absl::Status Run(const Arguments& arguments) {
  umask(077);  // folders 0700; files have their own modes
  if (!arguments.revoke.empty() || arguments.sign_revocations) return Revoke(arguments);
  KS_ASSIGN_OR_RETURN(const Issuing plan, Plan(arguments));
  KS_ASSIGN_OR_RETURN(const CertificateIssuer issuer, LoadIssuer(plan));
  size_t issued = 0;
  for (size_t i = 0; i < arguments.count; ++i) {
    const std::string name =
        arguments.id_prefix.empty() ? arguments.id : absl::StrCat(arguments.id_prefix, arguments.first + i);
    KS_ASSIGN_OR_RETURN(const bool is_new, IssueOne(arguments, plan, issuer, name));
    if (is_new) ++issued;
  }
  std::puts(
      absl::StrFormat("%s: %d issued, %d kept", plan.tenant.str(), issued, arguments.count - issued).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace keystead

int main(int argc, char** argv) {
  keystead::Arguments arguments;
  CLI::App app{"Issues certificates under the CAs that certs/make-pki made", "keystead-issue"};
  app.add_option("--out", arguments.out, "Folder that make-pki wrote")->required();
  CLI::Option* tenant = app.add_option("--tenant", arguments.tenant, "Tenant whose CA issues");
  CLI::Option* provider =
      app.add_flag("--provider", arguments.provider, "The provider's CA issues, role service or operator");
  tenant->excludes(provider);
  app.add_option("--role", arguments.role,
                 "device, gateway, app, thirdparty, service, admin, operator (with --provider) or factory "
                 "(id: <role>.<id>)")
      ->capture_default_str();
  CLI::Option* id = app.add_option("--id", arguments.id, "Last element of the SPIFFE id");
  CLI::Option* prefix =
      app.add_option("--id-prefix", arguments.id_prefix, "Ids are this and a running number");
  id->excludes(prefix);
  app.add_option("--count", arguments.count, "How many, with --id-prefix")->needs(prefix);
  app.add_option("--first", arguments.first, "First running number")->needs(prefix);
  app.add_flag("--server", arguments.server, "May serve too: adds serverAuth, localhost and 127.0.0.1");
  app.add_option("--dns", arguments.dns_names, "Further DNS names");
  app.add_option("--ip", arguments.ip_addresses, "Further IP addresses");
  app.add_option("--days", arguments.days, "Validity from now")->capture_default_str();
  app.add_option("--not-before", arguments.not_before, "RFC 3339, instead of five minutes ago");
  app.add_option("--not-after", arguments.not_after, "RFC 3339, instead of --days");
  app.add_flag("--force", arguments.force, "Replace certificates that are still good");
  CLI::Option* revoke =
      app.add_option(
             "--revoke", arguments.revoke,
             "Add this line (\"name device/x\", \"serial <hex>\", …) to the tenant's revocations, and sign "
             "them; repeatable")
          ->allow_extra_args(false);
  CLI::Option* sign = app.add_flag("--sign-revocations", arguments.sign_revocations,
                                   "Sign revocations.txt as it stands now, with the next number");
  for (CLI::Option* other : {id, prefix, provider}) other->excludes(revoke)->excludes(sign);
  CLI11_PARSE(app, argc, argv);
  if (arguments.tenant.empty() && !arguments.provider) {
    std::fputs("keystead-issue: --tenant or --provider is needed\n", stderr);
    return 2;
  }
  const bool revokes = !arguments.revoke.empty() || arguments.sign_revocations;
  if (!revokes && arguments.id.empty() && arguments.id_prefix.empty()) {
    std::fputs("keystead-issue: --id or --id-prefix is needed\n", stderr);
    return 2;
  }
  if (const absl::Status status = keystead::Run(arguments); !status.ok()) {
    std::fprintf(stderr, "keystead-issue: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}
