// Erasing a tenant, or one instantiation: the key goes first, then what was stored under it, and what remains
// is a signed receipt. docs/decisions/0027-encryption-at-rest.md.
#pragma once

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backend/at_rest/encrypted_store.h"
#include "backend/instantiations.h"
#include "backend/tenant_view.h"
#include "core/audit/receipt.h"
#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/transport/record_log.h"

namespace keystead::backend {

using audit::kReceiptTyp;

class Erasure {
 public:
  struct Parts {  // nothing is owned
    Tenants* tenants = nullptr;
    storage::LogStore* store = nullptr;
    at_rest::Ciphers* ciphers = nullptr;
    RecordLog* log = nullptr;
    Instantiations* instantiations = nullptr;
    // Ends what is open of a tenant; of one instantiation where one is named.
    std::function<void(const TenantName&, const InstantiationId*)> end_calls;
    // COSE_Sign1 of the provider; empty: it has no key for it, and nothing is erased.
    std::function<absl::StatusOr<Bytes>(std::string_view typ, ByteView payload)> sign;
    const Clock* clock = &Clock::System();
  };
  explicit Erasure(const Parts& parts) : parts_(parts) {}

  // Both wait for disks: not on the writer's thread, and on an executor that others do not wait for. What a
  // crash cuts short Tenants::Open finishes. The receipt: COSE_Sign1 over the CBOR array
  //   [tenant, number, instantiation or h'', when (µs since 1970), groups, bytes]
  // with what was erased. Of a tenant that is erased already: the same receipt, signed anew.
  // FAILED_PRECONDITION: no key to sign with.
  absl::StatusOr<Bytes> EraseTenant(const TenantView& tenant, std::string_view actor);
  // For an operator who has lost the receipt, or to whom an erasure that failed half-way is to go on.
  // NOT_FOUND: it was never erased, or created again since.
  absl::StatusOr<Bytes> ReceiptOf(const TenantName& tenant) const;
  absl::StatusOr<Bytes> EraseInstantiation(const TenantView& tenant, const InstantiationId& id);

 private:
  absl::Status Complete(const TenantName& name, ErasedRow& row) const;
  absl::Status DropCommits(const TenantView& tenant, const InstantiationId& id);
  absl::StatusOr<StoredUsage> DropLogs(const TenantView& tenant, const InstantiationId& id);
  absl::StatusOr<Bytes> Receipt(const ErasedRow& row, const TenantName& tenant,
                                const InstantiationId* id) const;

  const Parts parts_;
};

}  // namespace keystead::backend
