#include "backend/audit_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "backend/rows.h"
#include "core/base/status.h"
#include "core/observe/log.h"

namespace keystead::backend {
namespace {

constexpr uint64_t kTrimEvery = 16;  // appends between two looks at the oldest
constexpr uint64_t kTrimMost = 4 * kTrimEvery;
constexpr size_t kTaskBytes = 1024;
constexpr size_t kRowsAtOnce = 256;

absl::StatusOr<audit::Head> FromRow(const AuditBook& book, const std::optional<std::string>& row) {
  audit::Head head;
  head.tenant = book.name();
  if (!row.has_value()) return head;
  KS_ASSIGN_OR_RETURN(const AuditState state, DecodeAuditState(*row));
  head.first = state.first;
  head.before = state.before;
  head.count = state.count;
  head.head = state.head;
  return head;
}

absl::Status Damaged(const AuditBook& book) {
  return absl::DataLossError(
      absl::StrCat("an entry of the audit log of ", book.name().str(), " is not there"));
}

}  // namespace

absl::Status AuditLog::Append(storage::Transaction& transaction, const AuditBook& book,
                              const audit::Event& event) const {
  KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(book.number(), kCountTable, kAuditState));
  KS_ASSIGN_OR_RETURN(audit::Head head, FromRow(book, row));
  const Bytes entry = audit::EncodeEntry({head.end(), options_.clock->Now(), event, head.head});
  transaction.Put(book.number(), kAuditTable, EncodeNumber(head.end()), ToString(entry));
  head.head = audit::HashEntry(book.name(), entry);
  ++head.count;
  KS_RETURN_IF_ERROR(Trim(transaction, book, head));
  transaction.Put(book.number(), kCountTable, kAuditState,
                  EncodeAuditState({head.first, head.before, head.count, head.head}));
  return absl::OkStatus();
}

absl::Status AuditLog::Trim(storage::Transaction& transaction, const AuditBook& book,
                            audit::Head& head) const {
  if (head.end() % kTrimEvery != 0) return absl::OkStatus();
  const absl::Time oldest = options_.clock->Now() - options_.max_age;
  for (uint64_t i = 0; i < kTrimMost && head.count > 1; ++i) {
    KS_ASSIGN_OR_RETURN(const auto row,
                        transaction.Get(book.number(), kAuditTable, EncodeNumber(head.first)));
    if (!row.has_value()) return Damaged(book);
    const absl::StatusOr<audit::Entry> entry = audit::ParseEntry(AsBytes(*row));
    if (!entry.ok()) return Damaged(book);
    if (head.count <= options_.max_entries && entry->time >= oldest) break;
    transaction.Delete(book.number(), kAuditTable, EncodeNumber(head.first));
    head.before = audit::HashEntry(book.name(), AsBytes(*row));
    ++head.first;
    --head.count;
  }
  return absl::OkStatus();
}

absl::Status AuditLog::AppendForProvider(storage::Transaction& transaction, const audit::Event& event) const {
  const std::optional<AuditBook> own = Provider();
  return own.has_value() ? Append(transaction, *own, event) : absl::OkStatus();
}

void AuditLog::Record(const AuditBook& book, const audit::Event& event) const {
  const auto failed = [book, action = event.action](const absl::Status& status) {
    if (status.ok()) return;
    Log(LogLevel::kError, "audit_not_recorded",
        {{"tenant", book.name().str()}, {"action", action}, {"reason", Std(status.message())}});
  };
  const absl::Status taken = store_->Submit(storage::MakeTask(
      kTaskBytes,
      [this, book, event](storage::Transaction& transaction) { return Append(transaction, book, event); },
      failed));
  failed(taken);
}

std::optional<AuditBook> AuditLog::Provider() const {
  if (!options_.provider.has_value()) return std::nullopt;
  return AuditBook(kOwnTenant, *options_.provider);
}

absl::StatusOr<audit::Head> AuditLog::HeadOf(const AuditBook& book) const {
  KS_ASSIGN_OR_RETURN(const auto row, store_->Get(book.number(), kCountTable, kAuditState));
  KS_ASSIGN_OR_RETURN(audit::Head head, FromRow(book, row));
  head.time = options_.clock->Now();
  return head;
}

absl::StatusOr<std::vector<std::string>> AuditLog::Read(const AuditBook& book, uint64_t from, uint64_t end,
                                                        size_t max_bytes) const {
  std::vector<std::string> out;
  size_t bytes = 0;
  while (from < end && bytes < max_bytes) {
    const std::string after = from == 0 ? "" : EncodeNumber(from - 1);
    KS_ASSIGN_OR_RETURN(
        std::vector<storage::Row> rows,
        store_->Scan(book.number(), kAuditTable, {.prefix = "", .after = after, .max_rows = kRowsAtOnce}));
    if (rows.empty()) return Damaged(book);
    for (storage::Row& row : rows) {
      if (from == end || bytes >= max_bytes) break;
      if (row.key != EncodeNumber(from)) return absl::NotFoundError("the entry went meanwhile");
      bytes += row.value.size();
      out.push_back(std::move(row.value));
      ++from;
    }
  }
  return out;
}

absl::StatusOr<SigningIdentity> AuditLog::Signer() const {
  if (options_.chain.empty() || options_.key.empty()) {
    return absl::FailedPreconditionError(
        "audit logs cannot be exported: give --audit-chain and --audit-key, a certificate of the provider's "
        "CA "
        "for spiffe://PROVIDER/service/audit");
  }
  absl::StatusOr<SigningIdentity> signer =
      LoadSigningIdentity(options_.chain, options_.key, options_.clock->Now());
  if (!signer.ok()) return absl::FailedPreconditionError(signer.status().message());
  const bool ours = !options_.provider.has_value() || signer->id.tenant() == *options_.provider;
  if (!ours || signer->id.role() != Role::kService || signer->id.id() != audit::kSignerName) {
    return absl::FailedPreconditionError(
        absl::StrCat(options_.chain, ": it is of ", signer->id.str(),
                     "; have one issued for spiffe://PROVIDER/service/audit by the CA of --provider"));
  }
  return signer;
}

}  // namespace keystead::backend
