#include "tests/load/pki.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/identity/authority.h"
#include "core/identity/issuer.h"

namespace keystead::load {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kBefore = absl::Minutes(5);
constexpr absl::Duration kLife = absl::Hours(48);

absl::Status Write(const fs::path& path, ByteView content, mode_t mode) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0) return absl::UnavailableError(absl::StrCat(path.string(), ": ", std::strerror(errno)));
  const bool whole = write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  if (close(file) == 0 && whole) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path.string(), ": cannot be written"));
}

absl::Status MakeFolder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path.string(), ": ", error.message()));
}

absl::StatusOr<TenantName> NameOf(std::string_view text) { return TenantName::Parse(text); }

absl::Status WriteAuthority(const fs::path& folder, const Authority& authority) {
  KS_RETURN_IF_ERROR(MakeFolder(folder));
  KS_RETURN_IF_ERROR(Write(folder / "ca.pem", AsBytes(authority.ca_pem), 0644));
  return Write(folder / "ca.key", authority.key_pem.ExposeSecret(), 0600);
}

absl::Status WriteLeaf(const fs::path& folder, const CertificateIssuer& issuer, const SpiffeId& id,
                       bool server) {
  LeafRequest request;
  request.id = id;
  request.not_before = absl::Now() - kBefore;
  request.not_after = absl::Now() + kLife;
  request.server = server;
  if (server) {
    request.dns_names = {"localhost"};
    request.ip_addresses = {"127.0.0.1"};
  }
  KS_ASSIGN_OR_RETURN(const IssuedLeaf leaf, issuer.Issue(request));
  KS_RETURN_IF_ERROR(MakeFolder(folder));
  KS_RETURN_IF_ERROR(Write(folder / "chain.pem", AsBytes(leaf.chain_pem), 0644));
  return Write(folder / "key.pem", leaf.key_pem.ExposeSecret(), 0600);
}

// The CA of a trust domain with its certificate from the admission CA, written; and what issues under it.
struct Domain {
  Authority authority;
  std::string cross;
};
absl::StatusOr<Domain> MakeDomain(const fs::path& folder, const TenantName& name,
                                  const Authority& admission) {
  const absl::Time not_after = absl::Now() + kLife;
  KS_ASSIGN_OR_RETURN(Authority authority, MakeTenantAuthority(name, not_after));
  KS_ASSIGN_OR_RETURN(std::string cross, CrossSign(admission, authority.ca_pem, name, not_after));
  KS_RETURN_IF_ERROR(WriteAuthority(folder, authority));
  KS_RETURN_IF_ERROR(Write(folder / "cross.pem", AsBytes(cross), 0644));
  return Domain{std::move(authority), std::move(cross)};
}

absl::Status MakeProvider(const fs::path& folder, const Authority& admission) {
  KS_ASSIGN_OR_RETURN(const TenantName name, NameOf(kProviderName));
  KS_ASSIGN_OR_RETURN(const Domain domain, MakeDomain(folder, name, admission));
  KS_RETURN_IF_ERROR(Write(folder / "name", AsBytes(kProviderName), 0644));
  const auto& [key, ca] = domain.authority;
  KS_ASSIGN_OR_RETURN(const CertificateIssuer serving, CertificateIssuer::Create(ca, key, ""));
  KS_ASSIGN_OR_RETURN(const SpiffeId backend, SpiffeId::Of(name, Role::kService, "backend"));
  KS_RETURN_IF_ERROR(WriteLeaf(folder / "backend", serving, backend, true));
  KS_ASSIGN_OR_RETURN(const CertificateIssuer asking, CertificateIssuer::Create(ca, key, domain.cross));
  KS_ASSIGN_OR_RETURN(const SpiffeId ops, SpiffeId::Of(name, Role::kOperator, "ops"));
  return WriteLeaf(folder / "operator" / "ops", asking, ops, false);
}

absl::Status MakeTenant(const fs::path& folder, const TenantName& name, int devices,
                        const Authority& admission) {
  KS_ASSIGN_OR_RETURN(const Domain domain, MakeDomain(folder, name, admission));
  KS_ASSIGN_OR_RETURN(
      const CertificateIssuer issuer,
      CertificateIssuer::Create(domain.authority.ca_pem, domain.authority.key_pem, domain.cross));
  KS_ASSIGN_OR_RETURN(const SpiffeId owner, SpiffeId::Of(name, Role::kApp, "owner"));
  KS_RETURN_IF_ERROR(WriteLeaf(folder / "app" / "owner", issuer, owner, false));
  for (int device = 0; device < devices; ++device) {
    const std::string id = absl::StrFormat("d%04d", device);
    KS_ASSIGN_OR_RETURN(const SpiffeId spiffe, SpiffeId::Of(name, Role::kDevice, id));
    KS_RETURN_IF_ERROR(WriteLeaf(folder / "device" / id, issuer, spiffe, false));
  }
  return absl::OkStatus();
}

}  // namespace

std::string TenantNameOf(int tenant) { return absl::StrFormat("t%04d.load.example", tenant); }

absl::Status MakePki(const std::string& folder, int tenants, int devices) {
  const fs::path root(folder);
  KS_ASSIGN_OR_RETURN(const Authority admission, MakeAdmissionAuthority(absl::Now() + kLife));
  KS_RETURN_IF_ERROR(WriteAuthority(root / "admission", admission));
  KS_RETURN_IF_ERROR(MakeProvider(root / "provider", admission));
  for (int tenant = 0; tenant < tenants; ++tenant) {
    KS_ASSIGN_OR_RETURN(const TenantName name, NameOf(TenantNameOf(tenant)));
    KS_RETURN_IF_ERROR(MakeTenant(root / "tenants" / name.str(), name, devices, admission));
  }
  return absl::OkStatus();
}

}  // namespace keystead::load
