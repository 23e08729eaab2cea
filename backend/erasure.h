// Erasing a tenant, or one instantiation: the key goes first, then what was stored under it, and what remains
// is a signed receipt. docs/decisions/0027-encryption-at-rest.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "backend/at_rest/encrypted_store.h"
#include "backend/audit_log.h"
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
    // What else is in memory of a tenant, once its key is destroyed: after it nothing more comes in. It may
    // be called again. THREAD: any but the writer's.
    std::function<void(const TenantName&, uint32_t number)> forget;
    const AuditLog* audit = nullptr;  // null: nobody records who erases an instantiation
    // COSE_Sign1 of the provider; empty: it has no key for it, and nothing is erased.
    std::function<absl::StatusOr<Bytes>(std::string_view typ, ByteView payload)> sign;
    const Clock* clock = &Clock::System();
  };
  explicit Erasure(const Parts& parts) : parts_(parts) {}

  // Both wait for disks: not on the writer's thread, and on an executor that others do not wait for. What a
  // crash cuts short Tenants::Open and Resume finish. The receipt: COSE_Sign1 over the CBOR array
  //   [tenant, number, instantiation or h'', when (µs since 1970), groups, bytes]
  // with what was erased. Of a tenant that is erased already: the same receipt, signed anew.
  // FAILED_PRECONDITION: no key to sign with.
  absl::StatusOr<Bytes> EraseTenant(const TenantView& tenant, std::string_view actor);
  // For an operator who has lost the receipt, or to whom an erasure that failed half-way is to go on.
  // NOT_FOUND: it was never erased, or created again since.
  absl::StatusOr<Bytes> ReceiptOf(const TenantName& tenant) const;
  // First it is nobody's any more, durably and for ever: no commit founds it again. Then what it is encrypted
  // with goes, then the rest. NOT_FOUND: there is none, nor was one erased.
  absl::StatusOr<Bytes> EraseInstantiation(const TenantView& tenant, const InstantiationId& id,
                                           const Principal& caller);
  // Goes on with the instantiations of which an erasure was cut short. What fails is logged, and tried again
  // at the next start or with the next EraseInstantiation.
  void Resume();

 private:
  struct Found;
  struct Marking;
  template <class Source>  // a Transaction or a LogStore
  absl::Status ReadCommits(Source& source, const TenantView& tenant, const InstantiationId& id,
                           Found& found) const;
  absl::Status LoadLogs(const TenantView& tenant, const InstantiationId& id) const;
  absl::StatusOr<GoneRow> Mark(const TenantView& tenant, const InstantiationId& id, const Principal& caller);
  absl::Status PrepareMark(storage::Transaction& transaction, Marking& marking) const;  // THREAD: writer's
  absl::Status Record(storage::Transaction& transaction, const Marking& marking) const;
  absl::Status Finish(const TenantView& tenant, const InstantiationId& id);
  absl::Status DestroySalt(const TenantView& tenant, const InstantiationId& id) const;
  absl::Status DeleteCommits(const TenantView& tenant, const InstantiationId& id, uint64_t count) const;
  absl::Status DeleteLog(const TenantView& tenant, uint64_t log) const;
  absl::Status DeleteRows(const TenantView& tenant, storage::Table table, std::string_view prefix) const;
  absl::StatusOr<Bytes> ReceiptOver(const TenantName& tenant, uint32_t number, const InstantiationId* id,
                                    absl::Time erased, const StoredUsage& was) const;
  absl::Status Complete(const TenantName& name, ErasedRow& row) const;

  // Held while one instantiation of a tenant is finished; another of the same tenant waits for it.
  std::shared_ptr<const void> TakeTurn(uint32_t tenant);

  const Parts parts_;
  absl::Mutex mutex_;
  absl::flat_hash_set<uint32_t> finishing_ ABSL_GUARDED_BY(mutex_);  // tenants
};

}  // namespace keystead::backend
