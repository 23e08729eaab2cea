// The tenants' audit logs and the provider's own, as rows of the store: hash-chained entries
// (core/audit/entry.h), of which the oldest go when they are too many or too old.
// docs/decisions/0029-audit-log.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backend/tenant_view.h"
#include "core/audit/entry.h"
#include "core/audit/head.h"
#include "core/base/clock.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

// Whose log. Made from a TenantView, or by who is about to make one; small value.
class AuditBook {
 public:
  explicit AuditBook(const TenantView& tenant) : number_(tenant.number()), name_(tenant.name()) {}
  uint32_t number() const { return number_; }
  const TenantName& name() const { return name_; }

 private:
  friend class Tenants;   // of a tenant that is being created
  friend class AuditLog;  // the provider's
  AuditBook(uint32_t number, TenantName name) : number_(number), name_(std::move(name)) {}
  uint32_t number_;
  TenantName name_;
};

// Thread-safe.
class AuditLog {
 public:
  struct Options {
    std::string chain;  // certificates of the provider's audit key (PEM files); empty: nothing is exported
    std::string key;
    std::optional<TenantName> provider;  // none: there is no log of its own
    uint64_t max_entries = 200'000;      // of one log; the oldest go
    absl::Duration max_age = absl::Hours(24 * 400);
    const Clock* clock = &Clock::System();
  };
  AuditLog(storage::LogStore* store, const Options& options) : store_(store), options_(options) {}

  // THREAD: the store's writer. Part of the task that does what is recorded: both count or neither.
  absl::Status Append(storage::Transaction& transaction, const AuditBook& book,
                      const audit::Event& event) const;
  // What must outlive the tenant, and what a tenant's own doings must not push out of its log.
  absl::Status AppendForProvider(storage::Transaction& transaction, const audit::Event& event) const;

  // In a task of its own, straight to the store: for the few things that nothing else is written for.
  void Record(const AuditBook& book, const audit::Event& event) const;

  std::optional<AuditBook> Provider() const;  // none when it has no log

  // What is committed. The head is that of an empty log where there is none.
  absl::StatusOr<audit::Head> HeadOf(const AuditBook& book) const;
  // Entries from `from` on, about as many as fit into `max_bytes`, at least one. NOT_FOUND: it went
  // meanwhile.
  absl::StatusOr<std::vector<std::string>> Read(const AuditBook& book, uint64_t from, uint64_t end,
                                                size_t max_bytes) const;

  // The provider's audit key, read anew each time: it may be renewed while the backend runs.
  // FAILED_PRECONDITION says what is missing.
  absl::StatusOr<SigningIdentity> Signer() const;

 private:
  absl::Status Trim(storage::Transaction& transaction, const AuditBook& book, audit::Head& head) const;

  storage::LogStore* const store_;
  const Options options_;
};

}  // namespace keystead::backend
