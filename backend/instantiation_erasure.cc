// Erasing one instantiation: a durable mark after which it is nobody's, then its salt, then what is left.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "backend/erasure.h"
#include "backend/rows.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/membership/acceptance.h"
#include "core/membership/commit.h"
#include "core/observe/log.h"
#include "core/transport/roster_gate.h"

namespace keystead::backend {
namespace {

constexpr size_t kRowsAtATime = 1000;

bool DoesNotOpen(const absl::Status& status) { return absl::IsDataLoss(status) || absl::IsNotFound(status); }

// Devices that a stored commit registered. One that does not parse names none.
void NoteDevices(std::string_view row, absl::flat_hash_set<Digest>& devices) {
  const absl::StatusOr<CommitRow> commit = DecodeCommit(row);
  if (!commit.ok()) return;
  const absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(AsBytes(commit->bundle));
  if (!bundle.ok()) return;
  for (const Bytes& acceptance : bundle->acceptances) {
    if (const auto ckt = UnverifiedDeviceCkt(acceptance); ckt.ok()) devices.insert(*ckt);
  }
}

absl::Status CountOneLess(storage::Transaction& transaction, uint32_t tenant) {
  KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(tenant, kCountTable, kInstantiationCount));
  if (!row.has_value()) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const uint64_t count, DecodeNumber(*row));
  transaction.Put(tenant, kCountTable, kInstantiationCount, EncodeNumber(std::max<uint64_t>(count, 1) - 1));
  return absl::OkStatus();
}

// A device that has moved on is its new owner's.
absl::Status DeleteDevices(storage::Transaction& transaction, const TenantView& tenant,
                           const InstantiationId& id, const absl::flat_hash_set<Digest>& devices) {
  for (const Digest& ckt : devices) {
    KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(tenant.number(), kDeviceTable, ckt.ToString()));
    if (!row.has_value()) continue;
    KS_ASSIGN_OR_RETURN(const DeviceRow device, DecodeDevice(*row));
    if (device.instantiation == id) transaction.Delete(tenant.number(), kDeviceTable, ckt.ToString());
  }
  return absl::OkStatus();
}

}  // namespace

// What has to be known before nothing opens any more.
struct Erasure::Found {
  uint64_t commits = 0;
  absl::flat_hash_set<Digest> devices;
};

struct Erasure::Marking {
  const TenantView& tenant;
  const InstantiationId& id;
  const Principal& caller;
  Found found;
  RecordLogChanges changes;
  GoneRow row;
  StoredChange removed;
};

// From commit `found.commits` on. A row that does not open is counted: it is to be deleted like the others.
template <class Source>
absl::Status Erasure::ReadCommits(Source& source, const TenantView& tenant, const InstantiationId& id,
                                  Found& found) const {
  while (true) {
    const auto row = source.Get(tenant.number(), kCommitTable, CommitKey(id, found.commits));
    if (row.ok() && !row->has_value()) return absl::OkStatus();
    if (row.ok()) {
      NoteDevices(**row, found.devices);
    } else if (!DoesNotOpen(row.status())) {
      return row.status();
    } else {  // without the tenant's key no look-up would ever end this
      KS_RETURN_IF_ERROR(parts_.ciphers->Of(tenant.number()).status());
    }
    ++found.commits;
  }
}

// One log in a task, so that the one that counts them all finds them in memory and keeps nobody waiting.
absl::Status Erasure::LoadLogs(const TenantView& tenant, const InstantiationId& id) const {
  KS_ASSIGN_OR_RETURN(const std::vector<RecordLog::NamedLog> topics,
                      parts_.log->TopicsOf(tenant.number(), id));
  for (const RecordLog::NamedLog& topic : topics) {
    RecordLogChanges changes;
    const absl::Status loaded = storage::RunTask(
        *parts_.store,
        [&](storage::Transaction& transaction) {
          absl::Status status = parts_.log->BytesOf(transaction, topic.log.ref, changes).status();
          if (!status.ok()) parts_.log->Finish(changes, status);
          return status;
        },
        [&](const absl::Status& status) { parts_.log->Finish(changes, status); },
        storage::Durability::kBuffered);
    if (!loaded.ok() && !DoesNotOpen(loaded)) return loaded;
  }
  return absl::OkStatus();
}

// Of what operators do the provider's log has it all; of what a tenant's own administrators do it has counts
// (AdminService), because they could fill it.
absl::Status Erasure::Record(storage::Transaction& transaction, const Marking& marking) const {
  if (parts_.audit == nullptr) return absl::OkStatus();
  const std::string actor = marking.caller.uri();
  if (marking.caller.role() == Role::kOperator) {
    KS_RETURN_IF_ERROR(parts_.audit->AppendForProvider(
        transaction, {actor, "instantiation_erased", marking.tenant.name().str(),
                      absl::StrCat("instantiation ", marking.id.ToHex())}));
  }
  return parts_.audit->Append(transaction, AuditBook(marking.tenant),
                              {actor, "instantiation_erased", marking.id.ToHex(), ""});
}

absl::Status Erasure::PrepareMark(storage::Transaction& transaction, Marking& marking) const {
  const TenantView& tenant = marking.tenant;
  const uint32_t number = tenant.number();
  const std::string key = marking.id.ToString();
  KS_ASSIGN_OR_RETURN(const auto gone, transaction.Get(number, kGoneTable, key));
  if (gone.has_value()) {
    KS_ASSIGN_OR_RETURN(marking.row, DecodeGone(*gone));
    return absl::OkStatus();
  }
  KS_RETURN_IF_ERROR(ReadCommits(transaction, tenant, marking.id, marking.found));
  KS_ASSIGN_OR_RETURN(const RecordLog::Detached had,
                      parts_.log->DetachTopics(transaction, number, marking.id, marking.changes));
  const uint64_t commits = marking.found.commits;
  if (commits == 0 && had.logs.empty()) return NoSuchInstantiation();
  KS_RETURN_IF_ERROR(DeleteDevices(transaction, tenant, marking.id, marking.found.devices));
  if (commits > 0) KS_RETURN_IF_ERROR(CountOneLess(transaction, number));
  transaction.Delete(number, kCommitTable, CommitKey(marking.id, 0));  // nobody is admitted without it
  marking.row = {.erased = parts_.clock->Now(), .was = {.groups = had.groups, .bytes = had.bytes}};
  transaction.Put(number, kGoneTable, key, EncodeGone(marking.row));
  transaction.Put(number, kErasingTable, key, EncodeErasing({.commits = commits, .logs = had.logs}));
  KS_RETURN_IF_ERROR(Record(transaction, marking));
  marking.removed = {-static_cast<int64_t>(had.groups), -static_cast<int64_t>(had.bytes)};
  KS_RETURN_IF_ERROR(tenant.account().Add(transaction, marking.removed));
  parts_.instantiations->Forget(tenant, marking.id);
  return absl::OkStatus();
}

absl::StatusOr<GoneRow> Erasure::Mark(const TenantView& tenant, const InstantiationId& id,
                                      const Principal& caller) {
  Marking marking{tenant, id, caller, {}, {}, {}, {}};
  KS_RETURN_IF_ERROR(ReadCommits(*parts_.store, tenant, id, marking.found));
  KS_RETURN_IF_ERROR(LoadLogs(tenant, id));
  KS_RETURN_IF_ERROR(storage::RunTask(
      *parts_.store,
      [&](storage::Transaction& transaction) {
        absl::Status status = PrepareMark(transaction, marking);
        if (!status.ok()) parts_.log->Finish(marking.changes, status);
        return status;
      },
      [&](const absl::Status& status) {
        parts_.log->Finish(marking.changes, status);
        tenant.account().Settle(status, marking.removed);
      }));
  return marking.row;
}

absl::Status Erasure::DestroySalt(const TenantView& tenant, const InstantiationId& id) const {
  KS_ASSIGN_OR_RETURN(const auto cipher, parts_.ciphers->Of(tenant.number()));
  const at_rest::CompartmentId compartment = cipher->CompartmentOf(id);
  KS_RETURN_IF_ERROR(parts_.ciphers->keys().DestroySalt(tenant.number(), compartment));
  cipher->Forget(compartment);
  return absl::OkStatus();
}

absl::Status Erasure::DeleteCommits(const TenantView& tenant, const InstantiationId& id,
                                    uint64_t count) const {
  for (uint64_t epoch = 0; epoch < count;) {
    const uint64_t end = std::min(count, epoch + kRowsAtATime);
    KS_RETURN_IF_ERROR(parts_.store->Commit(
        [&](storage::Transaction& transaction) {
          for (uint64_t e = epoch; e < end; ++e)
            transaction.Delete(tenant.number(), kCommitTable, CommitKey(id, e));
          return absl::OkStatus();
        },
        storage::Durability::kBuffered));
    epoch = end;
  }
  return absl::OkStatus();
}

absl::Status Erasure::DeleteRows(const TenantView& tenant, storage::Table table,
                                 std::string_view prefix) const {
  std::string after;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                        parts_.store->Scan(tenant.number(), table,
                                           {.prefix = prefix, .after = after, .max_rows = kRowsAtATime}));
    if (rows.empty()) return absl::OkStatus();
    KS_RETURN_IF_ERROR(parts_.store->Commit(
        [&](storage::Transaction& transaction) {
          for (const storage::Row& row : rows) transaction.Delete(tenant.number(), table, row.key);
          return absl::OkStatus();
        },
        storage::Durability::kBuffered));
    after = rows.back().key;
  }
}

absl::Status Erasure::DeleteLog(const TenantView& tenant, uint64_t log) const {
  KS_RETURN_IF_ERROR(parts_.store->Commit(
      [&](storage::Transaction& transaction) -> absl::Status {
        const storage::LogRef ref{tenant.number(), log};
        KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, transaction.GetBounds(ref));
        return transaction.Trim(ref, bounds.end);
      },
      storage::Durability::kBuffered));
  return DeleteRows(tenant, kStreamTable, RecordLog::RowPrefixOf(log));
}

std::shared_ptr<const void> Erasure::TakeTurn(uint32_t tenant) {
  const auto is_free = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !finishing_.contains(tenant); };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&is_free));
  finishing_.insert(tenant);
  return std::shared_ptr<const void>(this, [this, tenant](const void*) {
    absl::MutexLock over(&mutex_);
    finishing_.erase(tenant);
  });
}

// Every step can be done again after one that failed. The last one waits for the disk, and so for all before.
absl::Status Erasure::Finish(const TenantView& tenant, const InstantiationId& id) {
  const auto turn = TakeTurn(tenant.number());
  KS_ASSIGN_OR_RETURN(const auto row, parts_.store->Get(tenant.number(), kErasingTable, id.ToString()));
  if (!row.has_value() || MutantActive(Mutant::kTombstoneOnly)) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const ErasingRow left, DecodeErasing(*row));
  KS_RETURN_IF_ERROR(DestroySalt(tenant, id));
  KS_RETURN_IF_ERROR(DeleteCommits(tenant, id, left.commits));
  for (const uint64_t log : left.logs) KS_RETURN_IF_ERROR(DeleteLog(tenant, log));
  KS_RETURN_IF_ERROR(DeleteRows(tenant, kEvictedTable, id.ToString()));
  KS_RETURN_IF_ERROR(parts_.store->Commit([&](storage::Transaction& transaction) {
    transaction.Delete(tenant.number(), kErasingTable, id.ToString());
    return absl::OkStatus();
  }));
  Log(LogLevel::kInfo, "instantiation_erased",
      {{"tenant", tenant.name().str()}, {"instantiation", id.ToHex()}, {"logs", left.logs.size()}});
  return absl::OkStatus();
}

absl::StatusOr<Bytes> Erasure::EraseInstantiation(const TenantView& tenant, const InstantiationId& id,
                                                  const Principal& caller) {
  if (!parts_.sign) return absl::FailedPreconditionError("no key to sign a receipt with: nothing was erased");
  KS_ASSIGN_OR_RETURN(const GoneRow row, Mark(tenant, id, caller));
  parts_.end_calls(tenant.name(), &id);
  KS_RETURN_IF_ERROR(Finish(tenant, id));
  return ReceiptOver(tenant.name(), tenant.number(), &id, row.erased, row.was);
}

void Erasure::Resume() {
  const auto failed = [](const TenantView& tenant, const absl::Status& status) {
    Log(LogLevel::kError, "erasure_incomplete",
        {{"tenant", tenant.name().str()}, {"reason", Std(status.message())}});
  };
  parts_.tenants->ForEach([&](const TenantView& tenant) {
    std::string after;
    while (true) {
      const absl::StatusOr<std::vector<storage::Row>> rows = parts_.store->Scan(
          tenant.number(), kErasingTable, {.prefix = "", .after = after, .max_rows = kRowsAtATime});
      if (!rows.ok()) return failed(tenant, rows.status());
      if (rows->empty()) return;
      for (const storage::Row& row : *rows) {
        const absl::StatusOr<InstantiationId> id = InstantiationId::FromBytes(row.key);
        const absl::Status status = id.ok() ? Finish(tenant, *id) : id.status();
        if (!status.ok()) failed(tenant, status);
      }
      after = rows->back().key;
    }
  });
}

}  // namespace keystead::backend
