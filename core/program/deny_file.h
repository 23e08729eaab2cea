// The deny list as a file that an operator may change at any time. One entry a line, '#' begins a
// comment: "serial <hex>", "sha256 <64 hex digits of the leaf in DER>", "issuer <64 hex digits of an
// enrollment CA's SubjectPublicKeyInfo>" for all that this CA issued, or "name <role>/<id>" for whatever
// certificate shows that name; of the tenant that the last line "tenant <name>" before it named. A program of
// one tenant needs no such line.
#pragma once

#include <ctime>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/identity/principal.h"

namespace keystead {

// The content of such a file; `path` is for messages only. The rest as below.
absl::StatusOr<std::map<TenantName, DenyList::Entries>> ParseDenyList(std::string_view content,
                                                                      std::string_view path,
                                                                      const std::optional<TenantName>& own);
// By tenant; `own` is whose the lines before the first "tenant" are, none: there may be none.
// INVALID_ARGUMENT names file and line.
absl::StatusOr<std::map<TenantName, DenyList::Entries>> ReadDenyFile(const std::string& path,
                                                                     const std::optional<TenantName>& own);

// Thread-compatible.
class DenyFile {
 public:
  DenyFile(std::string path, std::optional<TenantName> own, DenyList* list)
      : path_(std::move(path)), own_(std::move(own)), list_(list) {}

  // Reads the file if it is another than last time; the list stays as it was on an error. An empty path does
  // nothing. Whether the list was replaced: open calls should then be looked at again.
  absl::StatusOr<bool> Refresh();

  // What the refreshes since the last call changed, as lines of such a file: "name device/lamp-1".
  struct Change {
    TenantName tenant;
    std::vector<std::string> added;
    std::vector<std::string> removed;
  };
  std::vector<Change> TakeChanges() { return std::exchange(changes_, {}); }

 private:
  const std::string path_;
  const std::optional<TenantName> own_;
  DenyList* const list_;
  std::string last_;                                   // inode, size and time of change
  std::map<TenantName, std::set<std::string>> lines_;  // of which the list has entries from here
  std::vector<Change> changes_;
};

}  // namespace keystead
