#include "backend/at_rest/file_keystore.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace keystead::backend::at_rest {
namespace {

constexpr std::string_view kKeysFile = "keys";
constexpr StateFolder::Format kKeysFormat{"ks-tenant-keys", 1};
constexpr StateFolder::Format kSaltFormat{"ks-salt", 1};
constexpr size_t kKeyBytes = 32;

std::string SaltName(const CompartmentId& compartment) { return "salt-" + compartment.ToHex(); }
std::string TenantFolder(const StateFolder& folder, uint32_t tenant) {
  return folder.PathOf(absl::StrFormat("%08x", tenant));
}

absl::Status NoKey(uint32_t tenant) {
  return absl::NotFoundError(absl::StrCat("tenant ", tenant, " has no key in the keystore"));
}

absl::Status SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, path);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error == 0 ? absl::OkStatus() : absl::ErrnoToStatus(error, path);
}

}  // namespace

Bytes DerivationInput(ByteView info) {
  Bytes out{0, 0, 0, 1};
  out.insert(out.end(), info.begin(), info.end());
  constexpr uint32_t kBits = kDerivedKeyBytes * 8;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(kBits >> shift));
  return out;
}

absl::Status ShredFile(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return errno == ENOENT ? absl::OkStatus() : absl::ErrnoToStatus(errno, path);
  const off_t size = lseek(fd, 0, SEEK_END);
  const std::string zeros(static_cast<size_t>(std::max<off_t>(size, 0)), '\0');
  const bool overwritten =
      pwrite(fd, zeros.data(), zeros.size(), 0) == static_cast<ssize_t>(zeros.size()) && fsync(fd) == 0;
  const int error = overwritten ? 0 : errno;
  close(fd);
  if (error != 0) return absl::ErrnoToStatus(error, path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return absl::ErrnoToStatus(errno, path);
  return absl::OkStatus();
}

absl::StatusOr<SecretBytes> SaltFolder::Get(const CompartmentId& compartment, bool create,
                                            RandomSource& random) const {
  absl::StatusOr<SecretBytes> salt = folder_.ReadChecked(SaltName(compartment), kSaltFormat);
  if (salt.ok() || !absl::IsNotFound(salt.status()) || !create) return salt;
  SecretBytes fresh = random.Secret(kKeyBytes);
  KS_RETURN_IF_ERROR(folder_.WriteChecked(SaltName(compartment), kSaltFormat, fresh));
  return fresh;
}

absl::Status SaltFolder::Destroy(const CompartmentId& compartment) const {
  KS_RETURN_IF_ERROR(ShredFile(folder_.PathOf(SaltName(compartment))));
  return SyncFolder(folder_.path());
}

absl::Status SaltFolder::DestroyAll() const {
  std::error_code error;
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator it(folder_.path(), error), end; !error && it != end;
       it.increment(error))
    files.push_back(it->path().string());
  if (error) return absl::ErrnoToStatus(error.value(), folder_.path());
  for (const std::string& file : files) KS_RETURN_IF_ERROR(ShredFile(file));
  KS_RETURN_IF_ERROR(SyncFolder(folder_.path()));
  if (rmdir(folder_.path().c_str()) != 0) return absl::ErrnoToStatus(errno, folder_.path());
  return SyncFolder(std::filesystem::path(folder_.path()).parent_path().string());
}

absl::StatusOr<std::unique_ptr<FileKeyStore>> FileKeyStore::Open(const std::string& folder,
                                                                 RandomSource& random) {
  KS_ASSIGN_OR_RETURN(StateFolder opened, StateFolder::Open(folder));
  return std::unique_ptr<FileKeyStore>(new FileKeyStore(std::move(opened), random));
}

absl::StatusOr<StateFolder> FileKeyStore::FolderOf(uint32_t tenant) const {
  const std::string path = TenantFolder(folder_, tenant);
  if (!std::filesystem::exists(path)) return NoKey(tenant);
  return StateFolder::Open(path);
}

absl::StatusOr<const FileKeyStore::Versions*> FileKeyStore::Load(uint32_t tenant) const {
  if (const auto found = loaded_.find(tenant); found != loaded_.end()) return &found->second;
  KS_ASSIGN_OR_RETURN(const StateFolder folder, FolderOf(tenant));
  const absl::StatusOr<SecretBytes> file = folder.ReadChecked(kKeysFile, kKeysFormat);
  if (absl::IsNotFound(file.status())) return NoKey(tenant);
  if (!file.ok()) return file.status();
  if (file->empty() || file->size() % kKeyBytes != 0)
    return absl::DataLossError(absl::StrCat(folder.PathOf(kKeysFile), " is damaged"));
  Versions versions;
  for (size_t at = 0; at < file->size(); at += kKeyBytes) versions.push_back(file->Slice(at, kKeyBytes));
  return &(loaded_[tenant] = std::move(versions));
}

absl::Status FileKeyStore::Store(uint32_t tenant, Versions versions) {
  KS_ASSIGN_OR_RETURN(const StateFolder folder, StateFolder::Open(TenantFolder(folder_, tenant)));
  KS_RETURN_IF_ERROR(SyncFolder(folder_.path()));
  SecretBytes file(versions.size() * kKeyBytes);
  auto to = file.MutableSecret().begin();
  for (const SecretBytes& key : versions) to = std::ranges::copy(key.ExposeSecret(), to).out;
  KS_RETURN_IF_ERROR(folder.WriteChecked(kKeysFile, kKeysFormat, file));
  loaded_[tenant] = std::move(versions);
  return absl::OkStatus();
}

absl::Status FileKeyStore::Create(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  const absl::Status there = Load(tenant).status();
  if (!absl::IsNotFound(there)) return there;
  Versions versions;
  versions.push_back(random_.Secret(kKeyBytes));
  return Store(tenant, std::move(versions));
}

absl::StatusOr<uint32_t> FileKeyStore::CurrentVersion(uint32_t tenant) const {
  absl::MutexLock lock(&mutex_);
  KS_ASSIGN_OR_RETURN(const Versions* const versions, Load(tenant));
  return static_cast<uint32_t>(versions->size());
}

absl::StatusOr<uint32_t> FileKeyStore::Rotate(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  KS_ASSIGN_OR_RETURN(const Versions* const versions, Load(tenant));
  Versions next;
  for (const SecretBytes& key : *versions) next.push_back(key.Clone());
  next.push_back(random_.Secret(kKeyBytes));
  const auto version = static_cast<uint32_t>(next.size());
  KS_RETURN_IF_ERROR(Store(tenant, std::move(next)));
  return version;
}

absl::StatusOr<SecretBytes> FileKeyStore::Derive(uint32_t tenant, uint32_t version, ByteView info) const {
  absl::MutexLock lock(&mutex_);
  KS_ASSIGN_OR_RETURN(const Versions* const versions, Load(tenant));
  if (version == 0 || version > versions->size()) return NoKey(tenant);
  const Digest derived = crypto::HmacSha256((*versions)[version - 1].ExposeSecret(), DerivationInput(info));
  return SecretBytes::CopyOf(derived.view());
}

absl::Status FileKeyStore::Destroy(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  loaded_.erase(tenant);
  absl::StatusOr<StateFolder> folder = FolderOf(tenant);
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  if (!folder.ok()) return folder.status();
  return SaltFolder(*std::move(folder)).DestroyAll();
}

absl::StatusOr<SecretBytes> FileKeyStore::Salt(uint32_t tenant, const CompartmentId& compartment,
                                               bool create) {
  absl::MutexLock lock(&mutex_);
  KS_ASSIGN_OR_RETURN(StateFolder folder, FolderOf(tenant));
  return SaltFolder(std::move(folder)).Get(compartment, create, random_);
}

absl::Status FileKeyStore::DestroySalt(uint32_t tenant, const CompartmentId& compartment) {
  absl::MutexLock lock(&mutex_);
  KS_ASSIGN_OR_RETURN(StateFolder folder, FolderOf(tenant));
  return SaltFolder(std::move(folder)).Destroy(compartment);
}

}  // namespace keystead::backend::at_rest
