#include "core/identity/file_access.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace keystead {
namespace {

constexpr off_t kMaxFileBytes = 1 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status Failure(const std::string& path, int error) {
  const std::string text = absl::StrCat(path, ": ", std::strerror(error));
  if (error == ENOENT || error == ENOTDIR)
    return absl::NotFoundError(absl::StrCat(text, "; give another path, or make the file"));
  if (error == EACCES || error == EPERM)
    return absl::PermissionDeniedError(absl::StrCat(text, "; run as the user who owns it"));
  return absl::InvalidArgumentError(text);
}

absl::Status CheckSecret(const std::string& path, const struct stat& about) {
  if (about.st_uid != geteuid() && about.st_uid != 0) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": belongs to user ", about.st_uid,
                                                    ", who could change it: chown ", geteuid(), " ", path));
  }
  if ((about.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, ": a secret that others than its owner can reach: chmod 600 ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<SecretBytes> ReadFile(const std::string& path, bool is_secret) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about {};
  if (file.get() < 0 || fstat(file.get(), &about) != 0) return Failure(path, errno);
  if (!S_ISREG(about.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  if (is_secret) {
    KS_RETURN_IF_ERROR(CheckSecret(path, about));
  }
  if (about.st_size > kMaxFileBytes)
    return absl::InvalidArgumentError(absl::StrCat(path, ": longer than 1 MiB"));
  SecretBytes out(static_cast<size_t>(about.st_size));
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = read(file.get(), out.MutableSecret().data() + done, out.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failure(path, errno);
    if (n == 0) return absl::InvalidArgumentError(absl::StrCat(path, ": became shorter while it was read"));
    done += static_cast<size_t>(n);
  }
  return out;
}

}  // namespace

absl::StatusOr<SecretBytes> ReadSecretFile(const std::string& path) { return ReadFile(path, true); }

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  KS_ASSIGN_OR_RETURN(const SecretBytes bytes, ReadFile(path, false));
  return ToString(bytes.ExposeSecret());
}

absl::StatusOr<PendingFile> PendingFile::Write(const std::string& path, ByteView content, mode_t mode,
                                               bool sync) {
  const std::string temporary = absl::StrCat(path, ".new.", getpid());
  // A leftover of a crashed run with the same process id may have other permissions: never reuse it.
  unlink(temporary.c_str());
  const Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.get() < 0) return Failure(temporary, errno);
  PendingFile pending(path, temporary);
  if (fchmod(file.get(), mode) != 0) return Failure(temporary, errno);  // whatever the umask says
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = write(file.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failure(temporary, errno);
    done += static_cast<size_t>(n);
  }
  if (sync && fsync(file.get()) != 0) return Failure(temporary, errno);
  return pending;
}

PendingFile::~PendingFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status PendingFile::Commit() {
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return Failure(path_, errno);
  temporary_.clear();
  return absl::OkStatus();
}

std::string FileStamp(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  return absl::StrCat(info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, " ", info.st_mtim.tv_nsec);
}

}  // namespace keystead
