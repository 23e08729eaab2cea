#include "backend/tenant_view.h"

#include <cstddef>
#include <type_traits>

#include "backend/rows.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/transport/roster_gate.h"

namespace keystead::backend {

// Copies are free; from anything else only Tenants makes one (its record is private, so nobody else can name
// it).
static_assert(!std::is_default_constructible_v<TenantView> && !std::is_aggregate_v<TenantView>);
static_assert(!std::is_constructible_v<TenantView, std::nullptr_t> &&
              !std::is_constructible_v<TenantView, uint32_t> &&
              !std::is_constructible_v<TenantView, const TenantName&, uint32_t> &&
              !std::is_constructible_v<TenantView, const Principal&>);
static_assert(!std::is_default_constructible_v<Tenants>);

namespace {

constexpr std::string_view kNextKey = "next";  // no tenant name: it has one label

absl::StatusOr<uint32_t> NumberOf(storage::Transaction& transaction, const TenantName& tenant) {
  KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(kOwnTenant, kTenantTable, tenant.str()));
  if (row.has_value()) {
    KS_ASSIGN_OR_RETURN(const uint64_t number, DecodeNumber(*row));
    return static_cast<uint32_t>(number);
  }
  uint64_t number = kOwnTenant + 1;
  KS_ASSIGN_OR_RETURN(const auto next, transaction.Get(kOwnTenant, kTenantTable, kNextKey));
  if (next.has_value()) {
    KS_ASSIGN_OR_RETURN(number, DecodeNumber(*next));
  }
  if (number >= UINT32_MAX) return absl::ResourceExhaustedError("tenant numbers are used up");
  transaction.Put(kOwnTenant, kTenantTable, kNextKey, EncodeNumber(number + 1));
  transaction.Put(kOwnTenant, kTenantTable, tenant.str(), EncodeNumber(number));
  return static_cast<uint32_t>(number);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tenants>> Tenants::Open(storage::LogStore& store,
                                                       const TenantDirectory& directory) {
  auto tenants = std::unique_ptr<Tenants>(new Tenants);
  const absl::Status status = store.Commit([&](storage::Transaction& transaction) {
    for (const TenantName& name : directory.Tenants()) {
      KS_ASSIGN_OR_RETURN(const uint32_t number, NumberOf(transaction, name));
      tenants->records_[name] =
          std::make_unique<TenantView::Record>(TenantView::Record{.name = name, .number = number});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return tenants;
}

void Tenants::ForEachNumber(const std::function<void(const TenantName&, uint32_t)>& visit) const {
  for (const auto& [name, record] : records_) visit(name, record->number);
}

absl::StatusOr<TenantView> Tenants::Of(const Principal& principal) const {
  const auto found = records_.find(principal.tenant());
  if (found == records_.end()) return NoSuchInstantiation();
  return TenantView(found->second.get());
}

absl::StatusOr<TenantView> Tenants::For(const Principal& principal, const TenantName& named) const {
  if (principal.tenant() != named && !MutantActive(Mutant::kTenantFilterOff)) return NoSuchInstantiation();
  const auto found = records_.find(named);
  if (found == records_.end()) return NoSuchInstantiation();
  return TenantView(found->second.get());
}

}  // namespace keystead::backend
