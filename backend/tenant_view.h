// The proof that tenant data may be touched. Every function of the backend that does so takes a TenantView,
// and only Tenants makes one, from an authenticated Principal: a query across tenants cannot be written down.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/identity/principal.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

// Small value; valid as long as the Tenants that made it.
class TenantView {
 public:
  const TenantName& name() const { return record_->name; }
  uint32_t number() const { return record_->number; }  // under which the store keeps the tenant

 private:
  friend class Tenants;
  struct Record {
    TenantName name;
    uint32_t number = 0;
  };
  explicit TenantView(const Record* record) : record_(record) {}
  const Record* record_;
};

// The tenants of this backend and their numbers in its store. A number is given once and kept for ever, also
// while the tenant is not configured. Immutable once open; thread-safe.
class Tenants {
 public:
  // Numbers every tenant of the directory, durably. Errors are the store's.
  static absl::StatusOr<std::unique_ptr<Tenants>> Open(storage::LogStore& store,
                                                       const TenantDirectory& directory);

  // The caller's own tenant. NOT_FOUND when it came after Open.
  absl::StatusOr<TenantView> Of(const Principal& principal) const;
  // For a request that names a tenant: NoSuchInstantiation() unless it is the caller's own.
  absl::StatusOr<TenantView> For(const Principal& principal, const TenantName& named) const;

  size_t size() const { return records_.size(); }
  // For what the backend itself does at its start, before there is a caller.
  void ForEachNumber(const std::function<void(const TenantName&, uint32_t number)>& visit) const;

 private:
  Tenants() = default;
  absl::flat_hash_map<TenantName, std::unique_ptr<TenantView::Record>> records_;
};

}  // namespace keystead::backend
