// Internal to core/identity and its programs: whole small files, read and replaced.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"

namespace keystead {

// At most 1 MiB. NOT_FOUND, PERMISSION_DENIED or INVALID_ARGUMENT, with the path and what to do.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);
// For keys: in addition PERMISSION_DENIED when anybody but its owner may read or write the file, or when the
// owner is neither this process's user nor root.
absl::StatusOr<SecretBytes> ReadSecretFile(const std::string& path);

// Tells one state of a file from another (inode, size, time of change); empty when it is not there.
std::string FileStamp(const std::string& path);

// New content for `path`, written under a temporary name beside it; Commit renames it. Destroying it
// uncommitted removes the temporary file.
class PendingFile {
 public:
  // `sync` makes the content durable first.
  static absl::StatusOr<PendingFile> Write(const std::string& path, ByteView content, mode_t mode, bool sync);
  PendingFile(PendingFile&& other) noexcept
      : path_(std::move(other.path_)), temporary_(std::move(other.temporary_)) {
    other.temporary_.clear();
  }
  PendingFile& operator=(PendingFile&&) = delete;
  ~PendingFile();
  absl::Status Commit();

 private:
  PendingFile(std::string path, std::string temporary)
      : path_(std::move(path)), temporary_(std::move(temporary)) {}
  std::string path_;
  std::string temporary_;  // empty: nothing to remove
};

}  // namespace keystead
