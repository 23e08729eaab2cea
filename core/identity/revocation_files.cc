#include "core/identity/revocation_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/identity/file_access.h"
#include "core/identity/revocations.h"

namespace keystead {
namespace {

// Held until destroyed.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path) : fd_(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
    while (fd_ >= 0 && flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~FolderLock() {
    if (fd_ >= 0) close(fd_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  bool held() const { return fd_ >= 0; }

 private:
  const int fd_;
};

absl::Status Replace(const std::string& path, ByteView content) {
  KS_ASSIGN_OR_RETURN(PendingFile file, PendingFile::Write(path, content, 0644, /*sync=*/true));
  return file.Commit();
}

}  // namespace

absl::StatusOr<uint64_t> AddRevocations(const std::string& folder, const TenantName& tenant,
                                        const std::vector<std::string>& lines) {
  const FolderLock lock(folder + "/.revocations.lock");
  if (!lock.held()) return absl::PermissionDeniedError(absl::StrCat("cannot write in ", folder));
  const std::string text_path = folder + "/revocations.txt";
  const std::string object_path = folder + "/revocations.cbor";
  Revocations next;
  next.tenant = tenant;
  if (std::filesystem::exists(object_path)) {
    KS_ASSIGN_OR_RETURN(const std::string object, ReadTextFile(object_path));
    absl::StatusOr<Revocations> last = ReadRevocations(AsBytes(object));
    if (!last.ok())
      return absl::DataLossError(absl::StrCat(object_path, ": ", last.status().message(),
                                              ": its number is needed; restore it from a copy"));
    next.number = last->number;
  }
  ++next.number;
  if (std::filesystem::exists(text_path)) {
    KS_ASSIGN_OR_RETURN(next.text, ReadTextFile(text_path));
    if (!next.text.empty() && next.text.back() != '\n') next.text += '\n';
  }
  for (const std::string& line : lines) absl::StrAppend(&next.text, line, "\n");
  KS_ASSIGN_OR_RETURN(const SecretBytes key, ReadSecretFile(folder + "/ca.key"));
  KS_ASSIGN_OR_RETURN(const Bytes object, SignRevocations(next, key));
  KS_RETURN_IF_ERROR(Replace(text_path, AsBytes(next.text)));
  KS_RETURN_IF_ERROR(Replace(object_path, object));
  return next.number;
}

}  // namespace keystead
