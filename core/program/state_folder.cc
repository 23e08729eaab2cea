#include "core/program/state_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "core/program/files.h"

namespace keystead {
namespace {

constexpr size_t kMaxStateBytes = 256 << 20;
constexpr size_t kMaxFormatLine = 256;

absl::Status SystemError(std::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(Absl(what), " ", path));
}

}  // namespace

absl::StatusOr<StateFolder> StateFolder::Open(const std::string& path) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return SystemError("cannot create folder", path);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return SystemError("cannot look at folder", path);
  if (!S_ISDIR(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a folder"));
  if ((info.st_mode & 0077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("folder ", path, " holds secrets but is open to others: chmod 700 ", path));
  }
  if (access(path.c_str(), W_OK | X_OK) != 0) return SystemError("cannot write into folder", path);
  return StateFolder(path);
}

std::string StateFolder::PathOf(std::string_view name) const { return absl::StrCat(path_, "/", Absl(name)); }

bool StateFolder::Has(std::string_view name) const { return access(PathOf(name).c_str(), F_OK) == 0; }

absl::Status StateFolder::Write(std::string_view name, const SecretBytes& content) const {
  KS_RETURN_IF_ERROR(WriteFileAtomically(PathOf(name), AsChars(content.ExposeSecret())));
  return SyncFolder(path_);
}

absl::StatusOr<SecretBytes> StateFolder::Read(std::string_view name) const {
  KS_ASSIGN_OR_RETURN(std::string content, ReadFile(PathOf(name), kMaxStateBytes));
  SecretBytes secret = SecretBytes::CopyOf(AsBytes(content));
  SecureWipe(content.data(), content.size());
  return secret;
}

absl::Status StateFolder::WriteChecked(std::string_view name, const Format& format,
                                       const SecretBytes& content) const {
  const std::string line = absl::StrCat(Absl(format.name), " ", format.version, " ",
                                        crypto::Sha256(content.ExposeSecret()).ToHex(), "\n");
  SecretBytes file(line.size() + content.size());
  const ByteView head = AsBytes(line);
  const ByteView body = content.ExposeSecret();
  std::ranges::copy(body, std::ranges::copy(head, file.MutableSecret().begin()).out);
  return Write(name, file);
}

absl::StatusOr<SecretBytes> StateFolder::ReadChecked(std::string_view name, const Format& format) const {
  KS_ASSIGN_OR_RETURN(const SecretBytes file, Read(name));
  const auto damaged = [&] { return absl::DataLossError(absl::StrCat(PathOf(name), " is damaged")); };
  const std::string_view text = AsChars(file.ExposeSecret());
  const size_t end = text.substr(0, kMaxFormatLine).find('\n');
  if (end == std::string_view::npos) return damaged();
  const std::vector<std::string> words = absl::StrSplit(Absl(text.substr(0, end)), ' ');
  uint32_t version = 0;
  if (words.size() != 3 || words[0] != format.name || !absl::SimpleAtoi(words[1], &version)) return damaged();
  if (version != format.version) {
    return absl::FailedPreconditionError(absl::StrCat(PathOf(name), " is of format version ", version,
                                                      "; this program reads version ", format.version));
  }
  SecretBytes content = file.Slice(end + 1, file.size() - end - 1);
  if (crypto::Sha256(content.ExposeSecret()).ToHex() != words[2]) return damaged();
  return content;
}

absl::Status StateFolder::Remove(std::string_view name) const {
  if (unlink(PathOf(name).c_str()) != 0 && errno != ENOENT) return SystemError("cannot remove", PathOf(name));
  return absl::OkStatus();
}

StateFolder::Lock::Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

StateFolder::Lock& StateFolder::Lock::operator=(Lock&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

StateFolder::Lock::~Lock() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<StateFolder::Lock> StateFolder::Acquire(std::string_view name, bool wait) const {
  const std::string path = PathOf(name);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError("cannot open lock", path);
  Lock lock(fd);
  while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return absl::UnavailableError(absl::StrCat("another process holds ", path));
    return SystemError("cannot lock", path);
  }
  return lock;
}

}  // namespace keystead
