#include "backend/at_rest/salt_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status.h"
#include "core/program/files.h"

namespace keystead::backend::at_rest {
namespace {

constexpr StateFolder::Format kSaltFormat{"ks-salt", 1};
constexpr size_t kSaltBytes = 32;

std::string GoneName(uint32_t tenant) { return absl::StrFormat("%08x.gone", tenant); }
std::string SaltName(const CompartmentId& compartment) { return "salt-" + compartment.ToHex(); }

absl::Status Overwrite(int fd) {
  const off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0) return absl::ErrnoToStatus(errno, "size");
  const std::string zeros(static_cast<size_t>(size), '\0');
  if (pwrite(fd, zeros.data(), zeros.size(), 0) != size || fsync(fd) != 0)
    return absl::ErrnoToStatus(errno, "overwrite");
  return absl::OkStatus();
}

}  // namespace

absl::Status ShredReplaced(int fd) {
  if (fd < 0) return absl::OkStatus();
  absl::Status status = Overwrite(fd);
  close(fd);
  return status;
}

absl::Status ShredFile(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return errno == ENOENT ? absl::OkStatus() : absl::ErrnoToStatus(errno, path);
  const absl::Status overwritten = Overwrite(fd);
  close(fd);
  if (!overwritten.ok())
    return absl::Status(overwritten.code(), absl::StrCat(path, ": ", overwritten.message()));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return absl::ErrnoToStatus(errno, path);
  return absl::OkStatus();
}

absl::StatusOr<StateFolder> SaltFolders::MakeFolderOf(uint32_t tenant) const {
  KS_ASSIGN_OR_RETURN(StateFolder out, StateFolder::Open(folder_.PathOf(absl::StrFormat("%08x", tenant))));
  KS_RETURN_IF_ERROR(SyncFolder(folder_.path()));
  return out;
}

absl::StatusOr<StateFolder> SaltFolders::FolderOf(uint32_t tenant) const {
  const std::string path = folder_.PathOf(absl::StrFormat("%08x", tenant));
  if (!std::filesystem::exists(path))
    return absl::NotFoundError(absl::StrCat("tenant ", tenant, " is not in the keystore"));
  return StateFolder::Open(path);
}

absl::Status SaltFolders::CheckNothingOf(uint32_t tenant) const {
  std::error_code error;
  const std::filesystem::path path = folder_.PathOf(absl::StrFormat("%08x", tenant));
  const bool has_folder = std::filesystem::exists(path, error) && !std::filesystem::is_empty(path, error);
  if (error) return absl::ErrnoToStatus(error.value(), path.string());
  if (!has_folder && !folder_.Has(GoneName(tenant))) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("the keystore has had a key of the number ", tenant));
}

absl::StatusOr<SecretBytes> SaltFolders::Get(uint32_t tenant, const CompartmentId& compartment,
                                             bool create) const {
  KS_ASSIGN_OR_RETURN(const StateFolder folder, FolderOf(tenant));
  absl::StatusOr<SecretBytes> salt = folder.ReadChecked(SaltName(compartment), kSaltFormat);
  if (salt.ok() || !absl::IsNotFound(salt.status()) || !create) return salt;
  SecretBytes fresh = random_.Secret(kSaltBytes);
  KS_RETURN_IF_ERROR(folder.WriteChecked(SaltName(compartment), kSaltFormat, fresh));
  return fresh;
}

absl::Status SaltFolders::Destroy(uint32_t tenant, const CompartmentId& compartment) const {
  KS_ASSIGN_OR_RETURN(const StateFolder folder, FolderOf(tenant));
  KS_RETURN_IF_ERROR(ShredFile(folder.PathOf(SaltName(compartment))));
  return SyncFolder(folder.path());
}

absl::Status SaltFolders::DestroyAll(uint32_t tenant) const {
  KS_RETURN_IF_ERROR(folder_.Write(GoneName(tenant), SecretBytes()));
  const absl::StatusOr<StateFolder> folder = FolderOf(tenant);
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  if (!folder.ok()) return folder.status();
  std::error_code error;
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator it(folder->path(), error), end; !error && it != end;
       it.increment(error))
    files.push_back(it->path().string());
  if (error) return absl::ErrnoToStatus(error.value(), folder->path());
  for (const std::string& file : files) KS_RETURN_IF_ERROR(ShredFile(file));
  KS_RETURN_IF_ERROR(SyncFolder(folder->path()));
  if (rmdir(folder->path().c_str()) != 0) return absl::ErrnoToStatus(errno, folder->path());
  return SyncFolder(folder_.path());
}

}  // namespace keystead::backend::at_rest
