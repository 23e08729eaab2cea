// A provider's store folder as whoever hosts it has it: files, and the keystore beside them where the file of
// a scenario grants it. Works below everything that the backend checks. Holds no key of an instantiation.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backend/at_rest/encrypted_store.h"
#include "backend/at_rest/file_keystore.h"
#include "core/storage/log_store.h"

namespace keystead::hostile_host {

// Where one group stands.
struct Place {
  storage::LogRef log;
  uint64_t offset = 0;
  auto operator<=>(const Place&) const = default;
};

struct StoredGroup {
  Place place;
  std::string stored;  // as it lies on the disk
  // Decrypted at rest: a serialized SealedGroup. Nothing when the keystore is missing or does not open it.
  std::optional<std::string> group;
  bool trimmed = false;  // the backend serves it no longer; the database has not dropped it yet
};

enum class Access {
  kLook,  // the store may be in use by a running backend: nothing is written, not even a lock file
  kEdit,  // the backend must be stopped
};

// Not thread-safe.
class ProviderStore {
 public:
  // `keystore` is empty where the host has none. NOT_FOUND, FAILED_PRECONDITION: no store there, or it is in
  // use and was to be edited; the text says which.
  static absl::StatusOr<std::unique_ptr<ProviderStore>> Open(const std::string& store,
                                                             const std::string& keystore, Access access);
  ~ProviderStore();

  // Every group of every tenant, in the order of places.
  absl::StatusOr<std::vector<StoredGroup>> Groups();
  // Table → how many rows it has, of all tenants: what lies beside the groups.
  absl::StatusOr<std::map<int, uint64_t>> Tables();
  // NOT_FOUND: nothing stands there.
  absl::StatusOr<StoredGroup> Read(const Place& place);

  // What a backup holds, opened with the keystore as far as it goes. INVALID_ARGUMENT: it is no backup.
  absl::StatusOr<std::vector<StoredGroup>> GroupsOfBackup(const std::string& file);

  // Each is durable when it returns. PutGroup encrypts at rest for this place, as the backend would, and so
  // needs the keystore: FAILED_PRECONDITION.
  absl::Status PutStored(const Place& place, const std::string& stored);
  absl::Status PutGroup(const Place& place, const std::string& group);
  absl::Status Remove(const Place& place);

 private:
  struct Database;  // RocksDB stays in the .cc
  ProviderStore();
  StoredGroup Opened(const Place& place, std::string stored);

  std::unique_ptr<backend::at_rest::FileKeyStore> keys_;
  std::unique_ptr<backend::at_rest::Ciphers> ciphers_;
  std::unique_ptr<Database> database_;
};

}  // namespace keystead::hostile_host
