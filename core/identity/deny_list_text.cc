#include "core/identity/deny_list_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"

namespace keystead {

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

}  // namespace keystead
