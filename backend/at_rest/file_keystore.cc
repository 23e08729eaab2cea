#include "backend/at_rest/file_keystore.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace keystead::backend::at_rest {
namespace {

constexpr std::string_view kKeysFile = "keys";
constexpr StateFolder::Format kKeysFormat{"ks-tenant-keys", 1};
constexpr size_t kKeyBytes = 32;

absl::Status NoKey(uint32_t tenant) {
  return absl::NotFoundError(absl::StrCat("tenant ", tenant, " has no key in the keystore"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileKeyStore>> FileKeyStore::Open(const std::string& folder,
                                                                 RandomSource& random) {
  KS_ASSIGN_OR_RETURN(const StateFolder opened, StateFolder::Open(folder));
  return std::unique_ptr<FileKeyStore>(new FileKeyStore(opened, random));
}

absl::StatusOr<const FileKeyStore::Versions*> FileKeyStore::Load(uint32_t tenant) const {
  if (const auto found = loaded_.find(tenant); found != loaded_.end()) return &found->second;
  KS_ASSIGN_OR_RETURN(const StateFolder folder, salts_.FolderOf(tenant));
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
  KS_ASSIGN_OR_RETURN(const StateFolder folder, salts_.MakeFolderOf(tenant));
  SecretBytes file(versions.size() * kKeyBytes);
  auto to = file.MutableSecret().begin();
  for (const SecretBytes& key : versions) to = std::ranges::copy(key.ExposeSecret(), to).out;
  const int replaced = open(folder.PathOf(kKeysFile).c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  const absl::Status written = folder.WriteChecked(kKeysFile, kKeysFormat, file);
  if (!written.ok()) {
    if (replaced >= 0) close(replaced);
    return written;
  }
  KS_RETURN_IF_ERROR(ShredReplaced(replaced));
  loaded_[tenant] = std::move(versions);
  return absl::OkStatus();
}

absl::Status FileKeyStore::Create(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  KS_RETURN_IF_ERROR(salts_.CheckNothingOf(tenant));
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
  if (versions->size() >= kMaxKeyVersions)
    return absl::ResourceExhaustedError("the versions of a tenant's key are used up");
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
  return salts_.DestroyAll(tenant);
}

absl::StatusOr<SecretBytes> FileKeyStore::Salt(uint32_t tenant, const CompartmentId& compartment,
                                               bool create) {
  absl::MutexLock lock(&mutex_);
  return salts_.Get(tenant, compartment, create);
}

absl::Status FileKeyStore::DestroySalt(uint32_t tenant, const CompartmentId& compartment) {
  absl::MutexLock lock(&mutex_);
  return salts_.Destroy(tenant, compartment);
}

}  // namespace keystead::backend::at_rest
