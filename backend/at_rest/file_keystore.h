// A keystore of files: <folder>/<tenant number>/keys and salt-<compartment>, mode 0600 in folders of mode
// 0700; of one that was destroyed, <folder>/<tenant number>.gone. Good where the folder is on another disk,
// or in another backup, than the store. Destroying overwrites the files in place before it removes them; what
// a copying file system or a wear-levelling disk keeps of them is out of its reach, which is what a PKCS #11
// token is for.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "backend/at_rest/keystore.h"
#include "backend/at_rest/salt_folder.h"
#include "core/base/random.h"
#include "core/program/state_folder.h"

namespace keystead::backend::at_rest {

class FileKeyStore final : public KeyStore {
 public:
  // Makes the folder where it is missing. Errors name it.
  static absl::StatusOr<std::unique_ptr<FileKeyStore>> Open(const std::string& folder,
                                                            RandomSource& random = RandomSource::System());

  absl::Status Create(uint32_t tenant) override;
  absl::StatusOr<uint32_t> CurrentVersion(uint32_t tenant) const override;
  absl::StatusOr<uint32_t> Rotate(uint32_t tenant) override;
  absl::StatusOr<SecretBytes> Derive(uint32_t tenant, uint32_t version, ByteView info) const override;
  absl::Status Destroy(uint32_t tenant) override;
  absl::StatusOr<SecretBytes> Salt(uint32_t tenant, const CompartmentId& compartment, bool create) override;
  absl::Status DestroySalt(uint32_t tenant, const CompartmentId& compartment) override;

 private:
  FileKeyStore(const StateFolder& folder, RandomSource& random)
      : folder_(folder), salts_(folder, random), random_(random) {}
  using Versions = std::vector<SecretBytes>;
  absl::StatusOr<const Versions*> Load(uint32_t tenant) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Store(uint32_t tenant, Versions versions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const StateFolder folder_;
  const SaltFolders salts_;
  RandomSource& random_;
  mutable absl::Mutex mutex_;
  mutable absl::flat_hash_map<uint32_t, Versions> loaded_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::backend::at_rest
