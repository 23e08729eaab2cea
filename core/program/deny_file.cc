#include "core/program/deny_file.h"

#include <errno.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/identity/file_access.h"
#include "core/program/files.h"

namespace keystead {
namespace {
constexpr size_t kMaxFileBytes = 16 << 20;

std::set<std::string> LinesOf(const DenyList::Entries& entries) {
  std::set<std::string> out;
  for (const std::string& serial : entries.serials) out.insert("serial " + serial);
  for (const Digest& fingerprint : entries.fingerprints) out.insert("sha256 " + fingerprint.ToHex());
  for (const Digest& issuer : entries.issuers) out.insert("issuer " + issuer.ToHex());
  for (const std::string& name : entries.names) out.insert("name " + name);
  return out;
}

std::vector<std::string> Without(const std::set<std::string>& all, const std::set<std::string>& those) {
  std::vector<std::string> out;
  std::set_difference(all.begin(), all.end(), those.begin(), those.end(), std::back_inserter(out));
  return out;
}
}  // namespace

absl::StatusOr<std::map<TenantName, DenyList::Entries>> ReadDenyFile(const std::string& path,
                                                                     const std::optional<TenantName>& own) {
  KS_ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxFileBytes));
  return ParseDenyList(content, path, own);
}

absl::StatusOr<bool> DenyFile::Refresh() {
  if (path_.empty()) return false;
  std::string now = FileStamp(path_);
  if (now.empty()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read the deny list ", path_));
  if (now == last_) return false;
  KS_ASSIGN_OR_RETURN(auto denied, ReadDenyFile(path_, own_));
  for (const auto& [before, lines] : lines_) denied.try_emplace(before);  // taken off the list
  for (auto& [tenant, entries] : denied) {
    std::set<std::string> lines = LinesOf(entries);
    std::set<std::string>& known = lines_[tenant];
    Change change{tenant, Without(lines, known), Without(known, lines)};
    if (!change.added.empty() || !change.removed.empty()) changes_.push_back(std::move(change));
    known = std::move(lines);
    list_->Replace(tenant, std::move(entries));
  }
  last_ = std::move(now);
  return true;
}

}  // namespace keystead
