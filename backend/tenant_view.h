// The proof that tenant data may be touched. Every function of the backend that does so takes a TenantView,
// and only Tenants makes one, from an authenticated Principal: a query across tenants cannot be written down.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "backend/at_rest/keystore.h"
#include "backend/tenant_account.h"
#include "core/base/clock.h"
#include "core/identity/principal.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

class AuditLog;
namespace at_rest {
class Ciphers;
}

// Small value; valid as long as the Tenants that made it.
class TenantView {
 public:
  const TenantName& name() const { return record_->name; }
  uint32_t number() const { return record_->number; }  // under which the store keeps the tenant
  TenantAccount& account() const { return *record_->account; }

 private:
  friend class Tenants;
  struct Record {
    TenantName name;
    uint32_t number = 0;
    std::shared_ptr<TenantAccount> account;
  };
  explicit TenantView(const Record* record) : record_(record) {}
  const Record* record_;
};

// The tenants of this backend, their numbers in its store and their limits. A number is given once and kept
// for ever, also while the tenant is not configured. Thread-safe.
class Tenants {
 public:
  // Numbers every tenant of the directory, durably, and registers there those that were created before.
  struct Options {
    TenantLimits defaults;              // of tenants for which nobody has set limits
    at_rest::KeyStore* keys = nullptr;  // gets a key for each new number; null: nothing is encrypted
    const AuditLog* audit = nullptr;    // records who changes what; null: nobody does
    const Clock* clock = &Clock::System();
  };
  // Errors are the store's and the keystore's. A tenant of whom the store holds something damaged is left
  // out, which is logged with what it is.
  static absl::StatusOr<std::unique_ptr<Tenants>> Open(storage::LogStore& store, TenantDirectory& directory,
                                                       const Options& options);
  static absl::StatusOr<std::unique_ptr<Tenants>> Open(storage::LogStore& store, TenantDirectory& directory) {
    return Open(store, directory, Options());
  }

  // The caller's own tenant. NOT_FOUND when it came after Open.
  absl::StatusOr<TenantView> Of(const Principal& principal) const;
  // For a request that names a tenant: NoSuchInstantiation() unless it is the caller's own.
  absl::StatusOr<TenantView> For(const Principal& principal, const TenantName& named) const;
  // For administration: an operator sees every tenant, anybody else the own. NOT_FOUND for all others.
  absl::StatusOr<TenantView> Administered(const Principal& principal, const TenantName& named) const;
  // Names greater than `after` that the caller may administer, ascending.
  std::vector<TenantName> Names(const Principal& principal, std::string_view after, size_t max) const;

  // Durable when it returns; never on the store's writer thread. ALREADY_EXISTS: it is there with other keys
  // or limits. INVALID_ARGUMENT: not CA certificates. DATA_LOSS: a row of it is damaged, and stays as it is.
  // The same again changes nothing.
  // `actor` stands in the audit logs.
  absl::Status Create(const TenantName& name, std::string_view ca_pem, const TenantLimits* limits,
                      std::string_view actor = {});
  absl::Status SetLimits(const TenantView& tenant, const TenantLimits& limits, std::string_view actor = {});

  // The tenant is nobody's any more, durably: its certificates count no longer, its name is free for Create.
  absl::Status BeginErasing(const TenantView& tenant, const ErasedRow& row, std::string_view actor);
  // Once the key is destroyed: deletes all that is stored, waits until it has left the files, and notes in
  // `row` and the store that the erasure is complete. `erased` runs on the store's writer thread, after the
  // deletion.
  absl::Status FinishErasing(const TenantName& name, ErasedRow& row,
                             const std::function<void()>& erased = {});
  absl::StatusOr<ErasedRow> Erased(const TenantName& name) const;  // NOT_FOUND

  // A tenant whose keys are under another number comes back to it, in one step; its rows there are in place
  // already. ABORTED: it holds data here, or somebody else has the number. What it did here until now stands
  // in its audit log, and of its revocations the later ones count. `forget` runs on the store's writer
  // thread. backend/backup/tenant_adoption.cc.
  struct Adopted {
    TenantView tenant;
    std::string revocations;  // that count; empty: there are none
  };
  absl::StatusOr<Adopted> Adopt(const TenantView& tenant, uint32_t number, at_rest::Ciphers& ciphers,
                                const std::function<void()>& forget);
  bool HasNumber(uint32_t number) const;

  // THREAD: any. For the backend's own housekeeping, which serves no caller.
  std::optional<TenantView> Known(const TenantName& name) const;
  void ForEach(const std::function<void(const TenantView&)>& visit) const;
  size_t size() const;

 private:
  Tenants(storage::LogStore& store, TenantDirectory& directory, const Options& options)
      : store_(store), directory_(directory), options_(options) {}
  struct Found {
    TenantName name;
    uint32_t number = 0;
    TenantLimits limits;
  };
  absl::StatusOr<Found> Number(storage::Transaction& transaction, const TenantName& name) const;
  absl::Status Audit(storage::Transaction& transaction, uint32_t number, const TenantName& name,
                     std::string_view actor, std::string_view action, const TenantLimits* limits) const;
  absl::StatusOr<std::string> WriteAdoption(storage::Transaction& transaction, const TenantView& tenant,
                                            uint32_t number) const;
  // Of everybody who has a row of the backend's own that opens.
  absl::StatusOr<std::set<TenantName>> NamesInRows() const;
  // Registers a tenant that was created, leaves out one that was erased. DATA_LOSS: a row of it is damaged.
  absl::Status Recall(const TenantName& name);
  void LeaveOutErased(const TenantName& name, ErasedRow& erased);
  absl::Status Insert(const Found& found);
  void LeaveOut(const TenantName& name, const absl::Status& why);
  const TenantView::Record* Find(const TenantName& name) const;

  storage::LogStore& store_;
  TenantDirectory& directory_;
  const Options options_;
  absl::Mutex changing_;  // one change at a time, in the store and in memory alike
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<TenantName, std::unique_ptr<const TenantView::Record>> records_ ABSL_GUARDED_BY(mutex_);
  // Views of them may still be held.
  std::vector<std::unique_ptr<const TenantView::Record>> erased_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::backend
