#include "tests/load/credentials.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"

namespace keystead::load {
namespace {

namespace fs = std::filesystem;

// Folders that hold a certificate or an authority, by name.
std::vector<fs::path> Below(const fs::path& folder, const char* with) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!at->path().filename().string().starts_with('.') && fs::exists(at->path() / with, error))
      out.push_back(at->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

absl::StatusOr<Identity> IdentityIn(const fs::path& folder, const std::string& roots) {
  Identity out;
  out.files = {(folder / "chain.pem").string(), (folder / "key.pem").string(), roots};
  KS_ASSIGN_OR_RETURN(const CertificateInfo info, ValidateCertificateFiles(out.files, absl::Now()));
  out.id = info.id;
  return out;
}

absl::StatusOr<TenantCredentials> TenantIn(const fs::path& folder, const std::string& roots, int devices) {
  TenantCredentials out;
  const std::vector<fs::path> apps = Below(folder / "app", "chain.pem");
  if (apps.empty())
    return absl::NotFoundError(absl::StrCat((folder / "app").string(), ": no app to found with"));
  KS_ASSIGN_OR_RETURN(out.owner, IdentityIn(apps.front(), roots));
  out.name = out.owner.id.tenant();
  const std::vector<fs::path> found = Below(folder / "device", "chain.pem");
  if (found.size() < static_cast<size_t>(devices)) {
    return absl::NotFoundError(absl::StrCat((folder / "device").string(), ": ", found.size(),
                                            " devices, not ", devices,
                                            "; make more with certs/issue or give --devices"));
  }
  for (int i = 0; i < devices; ++i) {
    KS_ASSIGN_OR_RETURN(Identity device, IdentityIn(found[static_cast<size_t>(i)], roots));
    out.devices.push_back(std::move(device));
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<TenantCredentials>> FindTenants(const std::string& folder,
                                                           const std::string& roots, int tenants,
                                                           int devices) {
  const fs::path root = fs::path(folder) / "tenants";
  const std::vector<fs::path> found = Below(root, "app");
  if (found.size() < static_cast<size_t>(tenants)) {
    return absl::NotFoundError(absl::StrCat(root.string(), ": ", found.size(), " tenants with apps, not ",
                                            tenants, "; make more with certs/make-pki or give --tenants"));
  }
  std::vector<TenantCredentials> out;
  for (int i = 0; i < tenants; ++i) {
    KS_ASSIGN_OR_RETURN(TenantCredentials tenant, TenantIn(found[static_cast<size_t>(i)], roots, devices));
    out.push_back(std::move(tenant));
  }
  return out;
}

std::optional<Identity> FindOperator(const std::string& folder, const std::string& roots) {
  for (const fs::path& path : Below(fs::path(folder) / "provider" / "operator", "chain.pem")) {
    if (absl::StatusOr<Identity> found = IdentityIn(path, roots); found.ok()) return *std::move(found);
  }
  return std::nullopt;
}

}  // namespace keystead::load
