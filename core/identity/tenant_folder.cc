#include "core/identity/tenant_folder.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/identity/file_access.h"

namespace keystead {

absl::StatusOr<bool> TenantFolder::Refresh() {
  if (folder_.empty()) return false;
  std::error_code error;
  if (!std::filesystem::is_directory(folder_, error))
    return absl::NotFoundError(absl::StrCat(folder_, " is not there: tenants stay as they are"));
  if (!looked_) {
    looked_ = true;
    // What was there at the start counts already; the first look finds out what has changed since then.
    for (const TenantName& tenant : directory_->Tenants()) {
      if (!others_.contains(tenant) &&
          std::filesystem::exists(std::filesystem::path(folder_) / tenant.str(), error))
        stamps_[tenant] = "not looked at yet";
    }
  }
  absl::Status first;
  bool changed = false;
  for (auto& [tenant, stamp] : stamps_) {
    const std::string path = absl::StrCat(folder_, "/", tenant.str(), "/ca.pem");
    std::string now = FileStamp(path);
    if (now == stamp) continue;
    absl::Status status;
    if (now.empty()) {
      directory_->Remove(tenant);
    } else if (const auto pem = ReadTextFile(path); !pem.ok()) {
      status = pem.status();
    } else if (status = directory_->Register(tenant, *pem); !status.ok()) {
      status = absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
    }
    // A file that is wrong is told of once, and looked at again when it has changed.
    if (status.ok()) changed = true;
    first.Update(status);
    stamp = std::move(now);
  }
  if (!first.ok()) return first;
  return changed;
}

}  // namespace keystead
