// A store in which everything of a tenant is encrypted under that tenant's key; its users see plain rows and
// entries. Tenant 0, whose rows are the backend's own, has a key too (own_rows.h).
//
// Names in row keys are masked (key_shapes.h), so that scans keep their order only where it is one of
// numbers; the key itself stands in the row's value. Every value is bound to its place: an entry to tenant,
// log and offset, a row to tenant, table and key. Moved or exchanged by whoever owns the disk, it does not
// open. An earlier value of the same place does: what is old, members notice (docs/protocol.md,
// "Checkpoints").
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "backend/at_rest/tenant_cipher.h"
#include "core/storage/log_store.h"

namespace keystead::backend::at_rest {

// The ciphers of the tenants that were asked for. Thread-safe.
class Ciphers {
 public:
  explicit Ciphers(KeyStore* keys) : keys_(keys) {}
  // DATA_LOSS, saying what to do, when the tenant has no key.
  absl::StatusOr<std::shared_ptr<TenantCipher>> Of(uint32_t tenant);
  absl::Status DestroyKey(uint32_t tenant);  // in the keystore, and here
  // Nothing is sealed or opened under this number any more, for as long as the process runs: UNAVAILABLE.
  void Retire(uint32_t tenant);
  void Reinstate(uint32_t tenant);  // after all
  KeyStore& keys() { return *keys_; }

 private:
  KeyStore* const keys_;
  absl::Mutex mutex_;
  absl::flat_hash_map<uint32_t, std::shared_ptr<TenantCipher>> ciphers_ ABSL_GUARDED_BY(mutex_);
  // A number is never given again; who was reading the keys just before brings none of them back.
  absl::flat_hash_set<uint32_t> destroyed_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<uint32_t> retired_ ABSL_GUARDED_BY(mutex_);
};

// The instantiation whose group these bytes are; none when they are no group.
std::optional<InstantiationId> InstantiationOfGroup(std::string_view bytes);

class EncryptedStore final : public storage::LogStore {
 public:
  // Both must outlive it.
  EncryptedStore(storage::LogStore* inner, Ciphers* ciphers) : inner_(inner), ciphers_(ciphers) {}

  absl::Status Submit(std::unique_ptr<storage::Task> task) override;
  absl::StatusOr<std::vector<storage::Entry>> Read(storage::LogRef log, uint64_t from,
                                                   size_t max_bytes) const override;
  absl::StatusOr<storage::Bounds> GetBounds(storage::LogRef log) const override {
    return inner_->GetBounds(log);
  }
  std::unique_ptr<storage::Watcher> Watch(storage::LogRef log,
                                          std::function<void(uint64_t)> on_commit) override {
    return inner_->Watch(log, std::move(on_commit));
  }
  absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, storage::Table table,
                                                 std::string_view key) const override;
  // Of the backend's own rows by name, those that do not open are passed over and logged: one tenant's must
  // not stand before all others'. Get tells of them.
  absl::StatusOr<std::vector<storage::Row>> Scan(uint32_t tenant, storage::Table table,
                                                 const storage::ScanRange& range) const override;
  absl::Status Reclaim(uint32_t tenant) override { return inner_->Reclaim(tenant); }
  storage::Stats GetStats() const override { return inner_->GetStats(); }
  absl::Status Health() const override { return inner_->Health(); }

 private:
  storage::LogStore* const inner_;
  Ciphers* const ciphers_;
};

}  // namespace keystead::backend::at_rest
