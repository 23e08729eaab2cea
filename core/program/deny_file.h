// The deny list as a file that an operator may change at any time; core/identity/deny_list_text.h says what
// is in it. A program of one tenant needs no line "tenant <name>".
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
#include "core/identity/deny_list_text.h"
#include "core/identity/principal.h"

namespace keystead {

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
