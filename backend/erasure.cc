#include "backend/erasure.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/observe/log.h"

namespace keystead::backend {
namespace {

constexpr size_t kRowsAtATime = 1000;

}  // namespace

absl::StatusOr<Bytes> Erasure::Receipt(const ErasedRow& row, const TenantName& tenant,
                                       const InstantiationId* id) const {
  Bytes payload;
  cose::CborWriter w(payload);
  w.Array(6).Text(tenant.str()).Uint(row.number);
  w.Bstr(id == nullptr ? ByteView() : id->view());
  w.Uint(static_cast<uint64_t>(absl::ToUnixMicros(row.erased))).Uint(row.was.groups).Uint(row.was.bytes);
  return parts_.sign(kReceiptTyp, payload);
}

// Every step can be done again after one that failed.
absl::Status Erasure::Complete(const TenantName& name, ErasedRow& row) const {
  KS_RETURN_IF_ERROR(parts_.ciphers->DestroyKey(row.number));
  return parts_.tenants->FinishErasing(name, row, [&] { parts_.log->Forget(row.number); });
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
  return Receipt(row, name, nullptr);
}

absl::StatusOr<Bytes> Erasure::ReceiptOf(const TenantName& tenant) const {
  if (!parts_.sign) return absl::FailedPreconditionError("no key to sign a receipt with");
  KS_ASSIGN_OR_RETURN(ErasedRow row, parts_.tenants->Erased(tenant));
  if (!row.complete) KS_RETURN_IF_ERROR(Complete(tenant, row));
  return Receipt(row, tenant, nullptr);
}

// Nobody is admitted any more once the commits are gone.
absl::Status Erasure::DropCommits(const TenantView& tenant, const InstantiationId& id) {
  return storage::RunTask(
      *parts_.store,
      [&](storage::Transaction& transaction) -> absl::Status {
        bool existed = false;
        while (true) {
          KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                              transaction.Scan(tenant.number(), kCommitTable,
                                               {.prefix = id.ToString(), .max_rows = kRowsAtATime}));
          if (rows.empty()) break;
          existed = true;
          for (const storage::Row& row : rows) transaction.Delete(tenant.number(), kCommitTable, row.key);
        }
        if (!existed) return absl::OkStatus();
        KS_ASSIGN_OR_RETURN(const auto count,
                            transaction.Get(tenant.number(), kCountTable, kInstantiationCount));
        if (count.has_value()) {
          KS_ASSIGN_OR_RETURN(const uint64_t number, DecodeNumber(*count));
          transaction.Put(tenant.number(), kCountTable, kInstantiationCount,
                          EncodeNumber(std::max<uint64_t>(number, 1) - 1));
        }
        parts_.instantiations->Forget(tenant, id);
        return absl::OkStatus();
      },
      [&](const absl::Status&) { parts_.instantiations->Forget(tenant, id); });
}

absl::StatusOr<StoredUsage> Erasure::DropLogs(const TenantView& tenant, const InstantiationId& id) {
  KS_ASSIGN_OR_RETURN(const std::vector<RecordLog::NamedLog> topics,
                      parts_.log->TopicsOf(tenant.number(), id));
  StoredUsage dropped;
  RecordLogChanges changes;
  KS_RETURN_IF_ERROR(storage::RunTask(
      *parts_.store,
      [&](storage::Transaction& transaction) -> absl::Status {
        dropped = {};
        const auto drop = [&]() -> absl::Status {
          for (const RecordLog::NamedLog& topic : topics) {
            KS_ASSIGN_OR_RETURN(const uint64_t bytes,
                                parts_.log->BytesOf(transaction, topic.log.ref, changes));
            KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, transaction.GetBounds(topic.log.ref));
            KS_RETURN_IF_ERROR(parts_.log->TrimTo(transaction, topic.log.ref, bounds.end, changes));
            dropped.bytes += bytes;
            dropped.groups += bounds.end - bounds.first;
          }
          return tenant.account().Add(transaction, -static_cast<int64_t>(dropped.groups),
                                      -static_cast<int64_t>(dropped.bytes));
        };
        absl::Status status = drop();
        if (!status.ok()) parts_.log->Finish(changes, status);
        return status;
      },
      [&](const absl::Status& status) {
        parts_.log->Finish(changes, status);
        tenant.account().Settle(status);
      }));
  return dropped;
}

absl::StatusOr<Bytes> Erasure::EraseInstantiation(const TenantView& tenant, const InstantiationId& id) {
  if (!parts_.sign) return absl::FailedPreconditionError("no key to sign a receipt with: nothing was erased");
  KS_RETURN_IF_ERROR(DropCommits(tenant, id));
  parts_.end_calls(tenant.name(), &id);
  ErasedRow row{.number = tenant.number(), .erased = parts_.clock->Now(), .was = {}, .complete = true};
  KS_ASSIGN_OR_RETURN(row.was, DropLogs(tenant, id));
  KS_ASSIGN_OR_RETURN(const auto cipher, parts_.ciphers->Of(tenant.number()));
  const at_rest::CompartmentId compartment = cipher->CompartmentOf(id);
  KS_RETURN_IF_ERROR(parts_.ciphers->keys().DestroySalt(tenant.number(), compartment));
  cipher->Forget(compartment);
  Log(LogLevel::kInfo, "instantiation_erased",
      {{"tenant", tenant.name().str()}, {"instantiation", id.ToHex()}, {"groups", row.was.groups}});
  return Receipt(row, tenant.name(), &id);
}

}  // namespace keystead::backend
