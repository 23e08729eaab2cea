#include "backend/erasure.h"

#include <optional>

#include "core/base/status.h"
#include "core/observe/log.h"

namespace keystead::backend {

absl::StatusOr<Bytes> Erasure::ReceiptOver(const TenantName& tenant, uint32_t number,
                                           const InstantiationId* id, absl::Time erased,
                                           const StoredUsage& was) const {
  audit::Receipt receipt{.tenant = tenant,
                         .number = number,
                         .instantiation = std::nullopt,
                         .erased = erased,
                         .groups = was.groups,
                         .bytes = was.bytes};
  if (id != nullptr) receipt.instantiation = *id;
  return parts_.sign(kReceiptTyp, audit::EncodeReceipt(receipt));
}

// Every step can be done again after one that failed.
absl::Status Erasure::Complete(const TenantName& name, ErasedRow& row) const {
  KS_RETURN_IF_ERROR(parts_.ciphers->DestroyKey(row.number));
  if (parts_.forget) parts_.forget(name, row.number);
  return parts_.tenants->FinishErasing(name, row, [&] {
    parts_.log->Forget(row.number);
    parts_.instantiations->ForgetTenant(row.number);
  });
}

absl::StatusOr<Bytes> Erasure::EraseTenant(const TenantView& tenant, std::string_view actor) {
  if (!parts_.sign) return absl::FailedPreconditionError("no key to sign a receipt with: nothing was erased");
  const TenantName name = tenant.name();
  ErasedRow row{.number = tenant.number(),
                .erased = parts_.clock->Now(),
                .was = tenant.account().stored(),
                .complete = false};
  // From here on it is gone, whatever happens: its peers are nobody's, and Tenants::Open finishes the rest.
  KS_RETURN_IF_ERROR(parts_.tenants->BeginErasing(tenant, row, actor));
  parts_.end_calls(name, nullptr);
  KS_RETURN_IF_ERROR(Complete(name, row));
  Log(LogLevel::kInfo, "tenant_erased",
      {{"tenant", name.str()}, {"number", row.number}, {"groups", row.was.groups}, {"bytes", row.was.bytes}});
  return ReceiptOver(name, row.number, nullptr, row.erased, row.was);
}

absl::StatusOr<Bytes> Erasure::ReceiptOf(const TenantName& tenant) const {
  if (!parts_.sign) return absl::FailedPreconditionError("no key to sign a receipt with");
  KS_ASSIGN_OR_RETURN(ErasedRow row, parts_.tenants->Erased(tenant));
  if (!row.complete) KS_RETURN_IF_ERROR(Complete(tenant, row));
  return ReceiptOver(tenant, row.number, nullptr, row.erased, row.was);
}

}  // namespace keystead::backend
