// How a tenant comes back in a store that is new: under the number that its keys have in the keystore.
#include <algorithm>
#include <optional>
#include <utility>

#include "backend/at_rest/encrypted_store.h"
#include "backend/audit_log.h"
#include "backend/rows.h"
#include "backend/tenant_view.h"
#include "core/base/status.h"
#include "core/identity/revocations.h"

namespace keystead::backend {
namespace {

constexpr size_t kMaxCarried = 1000;  // entries of the audit log that the new store has begun
constexpr std::string_view kNextKey = "next";

uint64_t NumberOfRevocations(const std::optional<std::string>& object) {
  if (!object.has_value()) return 0;
  const absl::StatusOr<Revocations> read = ReadRevocations(AsBytes(*object));
  return read.ok() ? read->number : 0;
}

// What the tenant did here before its data came back is part of its story.
absl::Status CarryAudit(storage::Transaction& transaction, const AuditLog& audit, const AuditBook& from,
                        const AuditBook& to) {
  KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                      transaction.Scan(from.number(), kAuditTable, {.prefix = "", .max_rows = kMaxCarried}));
  for (const storage::Row& row : rows) {
    KS_ASSIGN_OR_RETURN(const audit::Entry entry, audit::ParseEntry(AsBytes(row.value)));
    KS_RETURN_IF_ERROR(audit.Append(transaction, to, entry.event));
  }
  return absl::OkStatus();
}

// The later of those that came back and those that were put here. Empty: there are none.
absl::StatusOr<std::string> CarryRevocations(storage::Transaction& transaction, uint32_t from, uint32_t to) {
  KS_ASSIGN_OR_RETURN(auto here, transaction.Get(from, kRevocationTable, kRevocationKey));
  KS_ASSIGN_OR_RETURN(auto back, transaction.Get(to, kRevocationTable, kRevocationKey));
  if (here.has_value() && NumberOfRevocations(here) >= NumberOfRevocations(back)) {
    transaction.Put(to, kRevocationTable, kRevocationKey, *here);
    back = std::move(here);
  }
  return back.value_or("");
}

absl::StatusOr<bool> HoldsNothing(storage::Transaction& transaction, uint32_t number) {
  KS_ASSIGN_OR_RETURN(const auto topics,
                      transaction.Scan(number, kTopicTable, {.prefix = "t", .max_rows = 1}));
  KS_ASSIGN_OR_RETURN(const auto commits,
                      transaction.Scan(number, kCommitTable, {.prefix = "", .max_rows = 1}));
  return topics.empty() && commits.empty();
}

}  // namespace

bool Tenants::HasNumber(uint32_t number) const {
  absl::ReaderMutexLock lock(&mutex_);
  return std::any_of(records_.begin(), records_.end(),
                     [number](const auto& entry) { return entry.second->number == number; });
}

absl::StatusOr<std::string> Tenants::WriteAdoption(storage::Transaction& transaction,
                                                   const TenantView& tenant, uint32_t number) const {
  const std::string& name = tenant.name().str();
  KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(kOwnTenant, kTenantTable, name));
  if (!row.has_value() || *row != EncodeNumber(tenant.number()))
    return absl::AbortedError("the tenant was erased meanwhile");
  KS_ASSIGN_OR_RETURN(const bool nothing, HoldsNothing(transaction, tenant.number()));
  if (!nothing) return absl::AbortedError("the tenant has stored something meanwhile");
  if (options_.audit != nullptr) {
    KS_RETURN_IF_ERROR(
        CarryAudit(transaction, *options_.audit, AuditBook(tenant), AuditBook(number, tenant.name())));
  }
  KS_ASSIGN_OR_RETURN(std::string revocations, CarryRevocations(transaction, tenant.number(), number));
  uint64_t next = number + uint64_t{1};
  KS_ASSIGN_OR_RETURN(const auto before, transaction.Get(kOwnTenant, kTenantTable, kNextKey));
  if (before.has_value()) {
    KS_ASSIGN_OR_RETURN(const uint64_t free, DecodeNumber(*before));
    next = std::max(next, free);
  }
  transaction.Put(kOwnTenant, kTenantTable, kNextKey, EncodeNumber(next));
  transaction.Put(kOwnTenant, kTenantTable, name, EncodeNumber(number));
  // The CA of a tenant that an operator created counts with its number only.
  KS_ASSIGN_OR_RETURN(const auto admitted, transaction.Get(kOwnTenant, kAdmittedTable, name));
  const std::string before_it = EncodeNumber(tenant.number());
  if (admitted.has_value() && admitted->starts_with(before_it))
    transaction.Put(kOwnTenant, kAdmittedTable, name,
                    EncodeNumber(number) + admitted->substr(before_it.size()));
  transaction.EraseTenant(tenant.number());
  return revocations;
}

absl::StatusOr<Tenants::Adopted> Tenants::Adopt(const TenantView& tenant, uint32_t number,
                                                at_rest::Ciphers& ciphers,
                                                const std::function<void()>& forget) {
  absl::MutexLock changing(&changing_);
  if (HasNumber(number)) return absl::AbortedError("another tenant has the number");
  std::string revocations;
  KS_RETURN_IF_ERROR(storage::RunTask(
      store_,
      [&](storage::Transaction& transaction) -> absl::Status {
        KS_ASSIGN_OR_RETURN(revocations, WriteAdoption(transaction, tenant, number));
        // Tasks behind this one, of calls that were let in before, can store nothing under the old number.
        ciphers.Retire(tenant.number());
        return absl::OkStatus();
      },
      [&](const absl::Status& status) {
        if (status.ok()) return forget();
        ciphers.Reinstate(tenant.number());
      }));
  auto account = std::make_shared<TenantAccount>(number, options_.clock);
  account->SetLimits(tenant.account().limits());
  KS_RETURN_IF_ERROR(account->Load(store_));
  absl::MutexLock lock(&mutex_);
  auto& record = records_[tenant.name()];
  erased_.push_back(std::move(record));
  record = std::make_unique<const TenantView::Record>(
      TenantView::Record{tenant.name(), number, std::move(account)});
  return Adopted{TenantView(record.get()), std::move(revocations)};
}

}  // namespace keystead::backend
