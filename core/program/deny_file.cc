#include "core/program/deny_file.h"

#include <errno.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"
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

absl::StatusOr<std::map<TenantName, DenyList::Entries>> ParseDenyList(std::string_view content,
                                                                      std::string_view path,
                                                                      const std::optional<TenantName>& own) {
  std::map<TenantName, DenyList::Entries> out;
  std::optional<TenantName> tenant = own;
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(Absl(content), '\n')) {
    ++number;
    const std::vector<std::string> words =
        absl::StrSplit(*absl::StrSplit(line, '#').begin(), absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    absl::Status wrong =
        absl::InvalidArgumentError(absl::StrCat(Absl(path), ":", number,
                                                ": expected \"serial <hex>\", \"sha256 <64 hex digits>\", "
                                                "\"issuer <64 hex digits>\" or \"name <role>/<id>\"",
                                                own.has_value() ? "" : " behind a line \"tenant <name>\""));
    if (words.size() != 2) return wrong;
    if (words[0] == "tenant") {
      const absl::StatusOr<TenantName> named = TenantName::Parse(words[1]);
      if (!named.ok()) return wrong;
      tenant = *named;
      continue;
    }
    if (!tenant.has_value()) return wrong;
    DenyList::Entries& entries = out[*tenant];
    const std::string value = absl::AsciiStrToLower(words[1]);
    if (words[0] == "serial" && value.find_first_not_of("0123456789abcdef") == std::string::npos) {
      const size_t start = std::min(value.find_first_not_of('0'), value.size() - 1);
      entries.serials.insert(value.substr(start));
    } else if (const auto digest = Digest::FromHex(value); words[0] == "sha256" && digest.ok()) {
      entries.fingerprints.insert(*digest);
    } else if (words[0] == "issuer" && digest.ok()) {
      entries.issuers.insert(*digest);
    } else if (words[0] == "name" &&
               SpiffeId::Parse(absl::StrCat("spiffe://", tenant->str(), "/", words[1])).ok()) {
      entries.names.insert(words[1]);
    } else {
      return wrong;
    }
  }
  return out;
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
