#include "mobile-stub/recovery_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/base/status.h"

namespace keystead::mobile {
namespace {

absl::Status WriteLine(int fd, const SecretBytes& text, std::string_view what) {
  const auto failed = [&] { return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", Absl(what))); };
  ByteView left = text.ExposeSecret();
  while (!left.empty()) {
    const ssize_t n = write(fd, left.data(), left.size());
    if (n <= 0) return failed();
    left = left.subspan(static_cast<size_t>(n));
  }
  return write(fd, "\n", 1) == 1 ? absl::OkStatus() : failed();
}

}  // namespace

absl::Status WriteSecretLine(const std::string& path, const SecretBytes& text, std::string_view what) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", path, " for ", Absl(what)));
  absl::Status status = WriteLine(fd, text, what);
  if (status.ok() && fsync(fd) != 0) status = absl::ErrnoToStatus(errno, absl::StrCat("cannot sync ", path));
  close(fd);
  if (!status.ok()) unlink(path.c_str());
  return status;
}

RecoverySink RecoveryOutput(const std::string& path) {
  return [path](const SecretBytes& text) -> absl::Status {
    constexpr std::string_view kWhat = "the recovery key";
    if (!path.empty()) return WriteSecretLine(path, text, kWhat);
    std::fprintf(stderr, "Recovery key. Write it down: it is shown this once and not kept.\n");
    std::fflush(stderr);
    return WriteLine(STDERR_FILENO, text, kWhat);
  };
}

}  // namespace keystead::mobile
