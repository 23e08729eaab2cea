// The deny list as a file that an operator may change at any time. One certificate a line, '#' begins a
// comment: "serial <hex>" or "sha256 <64 hex digits of the leaf in DER>".
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/identity/principal.h"

namespace keystead::gateway {

// The content of such a file; `path` is for messages only.
absl::StatusOr<DenyList::Entries> ParseDenyList(std::string_view content, std::string_view path);
// INVALID_ARGUMENT names file and line.
absl::StatusOr<DenyList::Entries> ReadDenyFile(const std::string& path);

// Thread-compatible.
class DenyFile {
 public:
  DenyFile(std::string path, TenantName tenant, DenyList* list)
      : path_(std::move(path)), tenant_(std::move(tenant)), list_(list) {}

  // Reads the file if it is another than last time; the list stays as it was on an error. An empty path does
  // nothing. Whether the list was replaced.
  absl::StatusOr<bool> Refresh();

 private:
  const std::string path_;
  const TenantName tenant_;
  DenyList* const list_;
  std::string last_;  // inode, size and time of change
};

}  // namespace keystead::gateway
