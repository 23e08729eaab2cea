#include "backend/tenant_view.h"

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backend/audit_log.h"
#include "backend/rows.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/transport/roster_gate.h"
#include "keystead/v1/admin.pb.h"

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

constexpr storage::Table kNamed[] = {kTenantTable, kAdmittedTable, kLimitsTable, kErasedTable};

std::string_view WhatIsIn(storage::Table table) {
  if (table == kTenantTable) return "the number";
  if (table == kAdmittedTable) return "the CA";
  if (table == kLimitsTable) return "the limits";
  return "the erasure";
}

// Whose row it was and what is lost with it, the store does not know.
absl::Status About(storage::Table table, std::string_view name, const absl::Status& status) {
  return {status.code(),
          absl::StrCat(Absl(WhatIsIn(table)), " of tenant ", Absl(name), ": ", status.message())};
}

// `from`: the store, or the open batch.
template <class From>
absl::StatusOr<std::optional<std::string>> OwnRow(From& from, storage::Table table, const TenantName& name) {
  absl::StatusOr<std::optional<std::string>> row = from.Get(kOwnTenant, table, name.str());
  if (!row.ok()) return About(table, name.str(), row.status());
  return row;
}

// The CA of a tenant that an operator created, if one did. It was admitted together with its number, which is
// given once: the CA of an earlier tenant of the same name, put back, is none.
template <class From>
absl::StatusOr<std::optional<std::string>> AdmittedCa(From& from, const TenantName& name) {
  KS_ASSIGN_OR_RETURN(const auto row, OwnRow(from, kAdmittedTable, name));
  if (!row.has_value()) return row;
  KS_ASSIGN_OR_RETURN(const auto number, OwnRow(from, kTenantTable, name));
  if (!number.has_value() || !row->starts_with(*number)) {
    return About(kAdmittedTable, name.str(),
                 absl::DataLossError("it was admitted with another number: restore the store from a backup"));
  }
  return row->substr(number->size());
}

// A number, and its key: there is never a number that something could be stored under without one. A number
// that the keystore knows already is another's: of a tenant that came after the copy to which this store was
// put back, or of an attempt that was cut short.
absl::StatusOr<uint32_t> NewNumber(uint64_t number, at_rest::KeyStore* keys) {
  for (; number < UINT32_MAX; ++number) {
    if (keys == nullptr) return static_cast<uint32_t>(number);
    const absl::Status created = keys->Create(static_cast<uint32_t>(number));
    if (created.ok()) return static_cast<uint32_t>(number);
    if (!absl::IsAlreadyExists(created)) return created;
  }
  return absl::ResourceExhaustedError("tenant numbers are used up");
}

absl::StatusOr<uint32_t> NumberOf(storage::Transaction& transaction, const TenantName& tenant,
                                  at_rest::KeyStore* keys) {
  KS_ASSIGN_OR_RETURN(const auto row, OwnRow(transaction, kTenantTable, tenant));
  if (row.has_value()) {
    KS_ASSIGN_OR_RETURN(const uint64_t number, DecodeNumber(*row));
    return static_cast<uint32_t>(number);
  }
  uint64_t next = kOwnTenant + 1;
  const auto counter = transaction.Get(kOwnTenant, kTenantTable, kNextKey);
  if (!counter.ok())
    return About(kTenantTable, absl::StrCat(tenant.str(), ", which is new"), counter.status());
  if (counter->has_value()) {
    KS_ASSIGN_OR_RETURN(next, DecodeNumber(**counter));
  }
  KS_ASSIGN_OR_RETURN(const uint32_t number, NewNumber(next, keys));
  transaction.Put(kOwnTenant, kTenantTable, kNextKey, EncodeNumber(uint64_t{number} + 1));
  transaction.Put(kOwnTenant, kTenantTable, tenant.str(), EncodeNumber(number));
  return number;
}

}  // namespace

absl::StatusOr<Tenants::Found> Tenants::Number(storage::Transaction& transaction,
                                               const TenantName& name) const {
  Found found{.name = name, .number = 0, .limits = options_.defaults};
  KS_ASSIGN_OR_RETURN(found.number, NumberOf(transaction, name, options_.keys));
  KS_ASSIGN_OR_RETURN(const auto limits, OwnRow(transaction, kLimitsTable, name));
  if (limits.has_value()) {
    KS_ASSIGN_OR_RETURN(found.limits, DecodeLimits(*limits));
  }
  return found;
}

absl::StatusOr<std::set<TenantName>> Tenants::NamesInRows() const {
  std::set<TenantName> out;
  for (const storage::Table table : kNamed) {
    std::string after;
    while (true) {
      KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                          store_.Scan(kOwnTenant, table, {.prefix = "", .after = after, .max_rows = 1000}));
      if (rows.empty()) break;
      for (const storage::Row& row : rows) {
        if (const auto name = TenantName::Parse(row.key); name.ok())
          out.insert(*name);  // else it is kNextKey
      }
      after = rows.back().key;
    }
  }
  return out;
}

// Row by row and by name: a scan alone would pass over one that is damaged, and who was erased, or has other
// keys by now, would be let in again as the configuration says.
absl::Status Tenants::Recall(const TenantName& name) {
  KS_ASSIGN_OR_RETURN(const auto admitted, AdmittedCa(store_, name));
  if (admitted.has_value() && !directory_.Contains(name)) {  // else the configuration says which keys
    const absl::Status registered = directory_.Register(name, *admitted);
    if (!registered.ok()) return About(kAdmittedTable, name.str(), absl::DataLossError(registered.message()));
  }
  KS_ASSIGN_OR_RETURN(const auto row, OwnRow(store_, kErasedTable, name));
  if (!row.has_value()) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(ErasedRow erased, DecodeErased(*row));
  LeaveOutErased(name, erased);
  return absl::OkStatus();
}

// A tenant that was erased stays so, whatever the configuration still says of it, until it is created again.
void Tenants::LeaveOutErased(const TenantName& name, ErasedRow& erased) {
  directory_.Remove(name);
  if (erased.complete) return;
  absl::Status status;
  if (options_.keys != nullptr) status = options_.keys->Destroy(erased.number);
  if (status.ok()) status = FinishErasing(name, erased);
  if (!status.ok()) {
    Log(LogLevel::kError, "erasure_incomplete", {{"tenant", name.str()}, {"reason", Std(status.message())}});
  }
}

absl::Status Tenants::BeginErasing(const TenantView& tenant, const ErasedRow& row, std::string_view actor) {
  absl::MutexLock changing(&changing_);
  const TenantName& name = tenant.name();
  // One of the same name may have been created since the caller looked.
  if (const TenantView::Record* const now = Find(name); now == nullptr || now->number != tenant.number())
    return absl::NotFoundError("the tenant has just been erased");
  KS_RETURN_IF_ERROR(store_.Commit([&](storage::Transaction& transaction) -> absl::Status {
    if (options_.audit != nullptr)  // the tenant's own log goes with it
      KS_RETURN_IF_ERROR(options_.audit->AppendForProvider(
          transaction, {std::string(actor), "tenant_erased", name.str(), ""}));
    transaction.Put(kOwnTenant, kErasedTable, name.str(), EncodeErased(row));
    for (const storage::Table table : {kTenantTable, kAdmittedTable, kLimitsTable})
      transaction.Delete(kOwnTenant, table, name.str());
    return absl::OkStatus();
  }));
  {
    absl::MutexLock lock(&mutex_);
    const auto found = records_.find(name);
    erased_.push_back(std::move(found->second));
    records_.erase(found);
  }
  directory_.Remove(name);  // after it is known no more: nobody then registers it again
  tenant.account().Forget();
  return absl::OkStatus();
}

absl::Status Tenants::FinishErasing(const TenantName& name, ErasedRow& row,
                                    const std::function<void()>& erased) {
  KS_RETURN_IF_ERROR(storage::RunTask(
      store_,
      [&](storage::Transaction& transaction) {
        transaction.EraseTenant(row.number);
        return absl::OkStatus();
      },
      [&](const absl::Status& status) {
        if (status.ok() && erased) erased();
      }));
  KS_RETURN_IF_ERROR(store_.Reclaim(row.number));
  row.complete = true;
  return store_.Commit([&](storage::Transaction& transaction) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const auto there, OwnRow(transaction, kErasedTable, name));
    if (there.has_value())  // else it was created again meanwhile
      transaction.Put(kOwnTenant, kErasedTable, name.str(), EncodeErased(row));
    return absl::OkStatus();
  });
}

absl::StatusOr<ErasedRow> Tenants::Erased(const TenantName& name) const {
  KS_ASSIGN_OR_RETURN(const auto row, OwnRow(store_, kErasedTable, name));
  if (!row.has_value()) return absl::NotFoundError("no such tenant was erased");
  return DecodeErased(*row);
}

// One tenant whose key is gone, or whose rows do not open, does not keep the others from being served.
void Tenants::LeaveOut(const TenantName& name, const absl::Status& why) {
  Log(LogLevel::kError, "tenant_left_out", {{"tenant", name.str()}, {"reason", Std(why.message())}});
  directory_.Remove(name);
}

absl::Status Tenants::Insert(const Found& found) {
  auto account = std::make_shared<TenantAccount>(found.number, options_.clock);
  account->SetLimits(found.limits);
  KS_RETURN_IF_ERROR(account->Load(store_));
  // Without what it has revoked nobody of it is let in.
  KS_RETURN_IF_ERROR(store_.Get(found.number, kRevocationTable, kRevocationKey).status());
  absl::MutexLock lock(&mutex_);
  records_.try_emplace(found.name, std::make_unique<const TenantView::Record>(
                                       TenantView::Record{found.name, found.number, std::move(account)}));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Tenants>> Tenants::Open(storage::LogStore& store, TenantDirectory& directory,
                                                       const Options& options) {
  auto tenants = std::unique_ptr<Tenants>(new Tenants(store, directory, options));
  KS_ASSIGN_OR_RETURN(std::set<TenantName> names, tenants->NamesInRows());
  for (const TenantName& name : directory.Tenants()) names.insert(name);
  for (const TenantName& name : names) {
    const absl::Status status = tenants->Recall(name);
    if (!status.ok() && !absl::IsDataLoss(status)) return status;
    if (!status.ok()) tenants->LeaveOut(name, status);
  }
  std::vector<std::pair<TenantName, absl::StatusOr<Found>>> all;
  KS_RETURN_IF_ERROR(store.Commit([&](storage::Transaction& transaction) -> absl::Status {
    all.clear();
    for (const TenantName& name : directory.Tenants()) {
      absl::StatusOr<Found> found = tenants->Number(transaction, name);
      if (!found.ok() && !absl::IsDataLoss(found.status())) return found.status();
      all.emplace_back(name, std::move(found));
    }
    return absl::OkStatus();
  }));
  for (const auto& [name, found] : all) {
    const absl::Status status = found.ok() ? tenants->Insert(*found) : found.status();
    if (!status.ok()) tenants->LeaveOut(name, status);
  }
  return tenants;
}

// Into the tenant's log and into the provider's, where nothing that a tenant does can push it out.
absl::Status Tenants::Audit(storage::Transaction& transaction, uint32_t number, const TenantName& name,
                            std::string_view actor, std::string_view action,
                            const TenantLimits* limits) const {
  if (options_.audit == nullptr) return absl::OkStatus();
  const audit::Event event{std::string(actor), std::string(action), name.str(),
                           limits == nullptr ? "" : ToMessage(*limits).ShortDebugString()};
  KS_RETURN_IF_ERROR(options_.audit->AppendForProvider(transaction, event));
  return options_.audit->Append(transaction, AuditBook(number, name), event);
}

absl::Status Tenants::Create(const TenantName& name, std::string_view ca_pem, const TenantLimits* limits,
                             std::string_view actor) {
  TenantDirectory scratch;  // whether it is a CA at all, before anything is written
  KS_RETURN_IF_ERROR(scratch.Register(name, ca_pem));
  absl::MutexLock changing(&changing_);
  if (directory_.IsProvider(name)) return absl::AlreadyExistsError("the name is the provider's own");
  Found found;
  const absl::Status written = store_.Commit([&](storage::Transaction& transaction) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const auto there, AdmittedCa(transaction, name));
    const bool configured = !there.has_value() && directory_.Contains(name);
    if (configured || (there.has_value() && *there != ca_pem))
      return absl::AlreadyExistsError("the tenant is there with other keys");
    KS_ASSIGN_OR_RETURN(const auto erased, OwnRow(transaction, kErasedTable, name));
    if (erased.has_value()) {
      KS_ASSIGN_OR_RETURN(const ErasedRow row, DecodeErased(*erased));
      if (!row.complete)
        return absl::FailedPreconditionError("a tenant of this name is being erased: finish that first");
    }
    transaction.Delete(kOwnTenant, kErasedTable, name.str());
    if (limits != nullptr && !there.has_value())
      transaction.Put(kOwnTenant, kLimitsTable, name.str(), EncodeLimits(*limits));
    KS_ASSIGN_OR_RETURN(found, Number(transaction, name));
    transaction.Put(kOwnTenant, kAdmittedTable, name.str(),
                    absl::StrCat(EncodeNumber(found.number), Absl(ca_pem)));
    if (there.has_value()) return absl::OkStatus();
    return Audit(transaction, found.number, name, actor, "tenant_created", limits);
  });
  if (!written.ok()) return written;
  if (Find(name) != nullptr) return absl::OkStatus();
  KS_RETURN_IF_ERROR(Insert(found));
  return directory_.Register(name, ca_pem);  // last: now its peers are let in
}

absl::Status Tenants::SetLimits(const TenantView& tenant, const TenantLimits& limits,
                                std::string_view actor) {
  absl::MutexLock changing(&changing_);
  KS_RETURN_IF_ERROR(store_.Commit([&](storage::Transaction& transaction) {
    transaction.Put(kOwnTenant, kLimitsTable, tenant.name().str(), EncodeLimits(limits));
    return Audit(transaction, tenant.number(), tenant.name(), actor, "limits_set", &limits);
  }));
  tenant.account().SetLimits(limits);
  return absl::OkStatus();
}

const TenantView::Record* Tenants::Find(const TenantName& name) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = records_.find(name);
  return found == records_.end() ? nullptr : found->second.get();
}

absl::StatusOr<TenantView> Tenants::Of(const Principal& principal) const {
  const TenantView::Record* const record = Find(principal.tenant());
  if (record == nullptr) return NoSuchInstantiation();
  return TenantView(record);
}

absl::StatusOr<TenantView> Tenants::For(const Principal& principal, const TenantName& named) const {
  if (principal.tenant() != named && !MutantActive(Mutant::kTenantFilterOff)) return NoSuchInstantiation();
  const TenantView::Record* const record = Find(named);
  if (record == nullptr) return NoSuchInstantiation();
  return TenantView(record);
}

absl::StatusOr<TenantView> Tenants::Administered(const Principal& principal, const TenantName& named) const {
  const TenantView::Record* const record = Find(named);
  const bool may = principal.role() == Role::kOperator || principal.tenant() == named;
  if (record == nullptr || !may) return absl::NotFoundError("no such tenant for this caller");
  return TenantView(record);
}

std::vector<TenantName> Tenants::Names(const Principal& principal, std::string_view after, size_t max) const {
  std::vector<TenantName> out;
  {
    absl::ReaderMutexLock lock(&mutex_);
    for (const auto& [name, record] : records_) {
      if (name.str() > after && (principal.role() == Role::kOperator || principal.tenant() == name))
        out.push_back(name);
    }
  }
  std::sort(out.begin(), out.end());
  if (out.size() > max) out.resize(max);
  return out;
}

std::optional<TenantView> Tenants::Known(const TenantName& name) const {
  const TenantView::Record* const record = Find(name);
  if (record == nullptr) return std::nullopt;
  return TenantView(record);
}

void Tenants::ForEach(const std::function<void(const TenantView&)>& visit) const {
  std::vector<const TenantView::Record*> all;
  {
    absl::ReaderMutexLock lock(&mutex_);
    all.reserve(records_.size());
    for (const auto& [name, record] : records_) all.push_back(record.get());
  }
  for (const TenantView::Record* const record : all) visit(TenantView(record));
}

size_t Tenants::size() const {
  absl::ReaderMutexLock lock(&mutex_);
  return records_.size();
}

}  // namespace keystead::backend
