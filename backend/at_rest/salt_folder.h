// Files of a tenant in a keystore: the salts that the keys of its compartments depend on.
#pragma once

#include <string>

#include "backend/at_rest/keystore.h"
#include "core/base/random.h"
#include "core/program/state_folder.h"

namespace keystead::backend::at_rest {

// Writes zeros over what a file held before it is replaced: open it before, and call this after. A negative
// `fd`, of a file that was not there, is no error.
absl::Status ShredReplaced(int fd);
// Overwrites in place, syncs and removes. OK when there is no such file.
absl::Status ShredFile(const std::string& path);

// <folder>/<tenant number>/salt-<compartment>. Thread-compatible; every change is durable when it returns.
class SaltFolders {
 public:
  SaltFolders(StateFolder folder, RandomSource& random) : folder_(std::move(folder)), random_(random) {}

  absl::StatusOr<StateFolder> FolderOf(uint32_t tenant) const;      // NOT_FOUND: the tenant has none
  absl::StatusOr<StateFolder> MakeFolderOf(uint32_t tenant) const;  // where it is missing
  // ALREADY_EXISTS: it has one that is not empty, or it was destroyed.
  absl::Status CheckNothingOf(uint32_t tenant) const;
  absl::StatusOr<SecretBytes> Get(uint32_t tenant, const CompartmentId& compartment, bool create) const;
  absl::Status Destroy(uint32_t tenant, const CompartmentId& compartment) const;
  // And everything else in the tenant's folder. What stays is an empty file <tenant number>.gone.
  absl::Status DestroyAll(uint32_t tenant) const;

 private:
  StateFolder folder_;
  RandomSource& random_;
};

}  // namespace keystead::backend::at_rest
