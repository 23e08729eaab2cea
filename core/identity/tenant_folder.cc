#include "core/identity/tenant_folder.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/identity/file_access.h"

namespace keystead {
namespace {

constexpr char kNotLookedAt[] = "not looked at yet";

}  // namespace

absl::StatusOr<bool> TenantFolder::Refresh() {
  if (folder_.empty()) return false;
  std::error_code error;
  if (!std::filesystem::is_directory(folder_, error))
    return absl::NotFoundError(absl::StrCat(folder_, " is not there: tenants stay as they are"));
  if (!looked_) {
    // What was there at the start counts already; the first look finds out what has changed since then.
    for (const TenantName& tenant : directory_->Tenants()) {
      if (!others_.contains(tenant) &&
          std::filesystem::exists(std::filesystem::path(folder_) / tenant.str(), error))
        stamps_[tenant] = kNotLookedAt;
    }
  }
  LookForNew();
  absl::Status first;
  bool changed = false;
  for (auto& [tenant, stamp] : stamps_) {
    const std::string path = absl::StrCat(folder_, "/", tenant.str(), "/ca.pem");
    std::string now = FileStamp(path);
    if (now == stamp) continue;
    absl::Status status;
    if (now.empty()) {
      directory_->Remove(tenant);
    } else {
      status = Register(tenant, path);
    }
    // A file that is wrong is told of once, and looked at again when it has changed.
    if (status.ok()) changed = true;
    first.Update(status);
    stamp = std::move(now);
  }
  if (!first.ok()) return first;
  return changed;
}

absl::Status TenantFolder::Register(const TenantName& tenant, const std::string& path) {
  const auto refused = [&] { return served_ && !served_(tenant); };
  bool ignored = refused();
  if (!ignored) {
    KS_ASSIGN_OR_RETURN(const std::string pem, ReadTextFile(path));
    const absl::Status status = directory_->Register(tenant, pem);
    if (!status.ok()) return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
    // Who takes a tenant away does so before it removes its registration: one of us sees the other.
    ignored = refused();
  }
  if (!ignored) return absl::OkStatus();
  directory_->Remove(tenant);
  ignored_.push_back({tenant, /*is_new=*/false});
  return absl::OkStatus();
}

// At the first look they are no news: what is registered of them was at the start. One that is not served all
// the same is told of, now and whenever its file is exchanged.
void TenantFolder::LookForNew() {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto tenant = TenantName::Parse(entry->path().filename().string());
    std::error_code missing;
    if (!tenant.ok() || others_.contains(*tenant) || seen_.contains(*tenant) ||
        !std::filesystem::exists(entry->path() / "ca.pem", missing))
      continue;
    seen_.insert(*tenant);
    if (!looked_ && served_ && !served_(*tenant)) stamps_[*tenant] = kNotLookedAt;
    if (looked_ && !stamps_.contains(*tenant)) ignored_.push_back({*tenant, /*is_new=*/true});
  }
  looked_ = true;
}

}  // namespace keystead
