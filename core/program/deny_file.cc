#include "core/program/deny_file.h"

#include <errno.h>
#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/program/files.h"

namespace keystead {
namespace {
constexpr size_t kMaxFileBytes = 16 << 20;
}

absl::StatusOr<std::map<TenantName, DenyList::Entries>> ReadDenyFile(const std::string& path,
                                                                     const std::optional<TenantName>& own) {
  KS_ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxFileBytes));
  return ParseDenyList(content, path, own);
}

absl::StatusOr<bool> DenyFile::Refresh() {
  if (path_.empty()) return false;
  struct stat info {};
  if (stat(path_.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read the deny list ", path_));
  }
  std::string now =
      absl::StrCat(info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, " ", info.st_mtim.tv_nsec);
  if (now == last_) return false;
  KS_ASSIGN_OR_RETURN(auto denied, ReadDenyFile(path_, own_));
  for (const TenantName& before : tenants_) denied.try_emplace(before);  // taken off the list
  for (auto& [tenant, entries] : denied) {
    tenants_.insert(tenant);
    list_->Replace(tenant, std::move(entries));
  }
  last_ = std::move(now);
  return true;
}

}  // namespace keystead
