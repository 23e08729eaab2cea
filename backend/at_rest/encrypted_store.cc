#include "backend/at_rest/encrypted_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "backend/at_rest/key_shapes.h"
#include "backend/at_rest/row_crypt.h"
#include "backend/rows.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/transport/wire.h"

namespace keystead::backend::at_rest {
namespace {

using storage::Entry;
using storage::LogRef;
using storage::Payload;
using storage::Row;
using storage::ScanRange;
using storage::Table;

bool HoldsNames(Table table) {
  const std::span<const KeySegment> shape = ShapeOf(table, "");
  return shape.size() == 1 && shape[0].kind == KeySegment::Kind::kName;
}

absl::StatusOr<std::vector<Row>> UnsealRows(TenantCipher& cipher, uint32_t tenant, Table table,
                                            std::vector<Row> rows) {
  for (Row& row : rows) {
    KS_ASSIGN_OR_RETURN(row, UnsealRow(cipher, tenant, table, row.key, row.value));
  }
  return rows;
}

// Runs `scan` with the range as it is in the store.
template <class Scan>
absl::StatusOr<std::vector<Row>> ScanMasked(TenantCipher& cipher, uint32_t tenant, Table table,
                                            const ScanRange& range, const Scan& scan) {
  KS_ASSIGN_OR_RETURN(const MaskedKey prefix, Masked(cipher, table, range.prefix));
  KS_ASSIGN_OR_RETURN(const MaskedKey after, Masked(cipher, table, range.after));
  KS_ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      scan(ScanRange{.prefix = prefix.bytes, .after = after.bytes, .max_rows = range.max_rows}));
  return UnsealRows(cipher, tenant, table, std::move(rows));
}

// The open batch as a task of a user sees it.
class EncryptedTransaction final : public storage::Transaction {
 public:
  EncryptedTransaction(storage::Transaction& inner, Ciphers& ciphers) : inner_(inner), ciphers_(ciphers) {}

  absl::StatusOr<uint64_t> Append(LogRef log, Payload bytes) override {
    KS_ASSIGN_OR_RETURN(TenantCipher* const cipher, Of(log.tenant));
    KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, inner_.GetBounds(log));
    KS_ASSIGN_OR_RETURN(std::string sealed, cipher->Seal(CompartmentOf(*cipher, InstantiationOfGroup(*bytes)),
                                                         AsBytes(EntryAad(log, bounds.end)), *bytes));
    return inner_.Append(log, std::make_shared<const std::string>(std::move(sealed)));
  }
  absl::StatusOr<storage::Bounds> GetBounds(LogRef log) override { return inner_.GetBounds(log); }
  absl::Status Trim(LogRef log, uint64_t first_kept) override { return inner_.Trim(log, first_kept); }

  absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, Table table,
                                                 std::string_view key) override {
    KS_ASSIGN_OR_RETURN(TenantCipher* const cipher, Of(tenant));
    KS_ASSIGN_OR_RETURN(const MaskedKey masked, Masked(*cipher, table, key));
    KS_ASSIGN_OR_RETURN(const auto sealed, inner_.Get(tenant, table, masked.bytes));
    if (!sealed.has_value()) return std::nullopt;
    KS_ASSIGN_OR_RETURN(Row row, UnsealRow(*cipher, tenant, table, masked.bytes, *sealed));
    return std::move(row.value);
  }
  // A row that cannot be encrypted must not be written, and Put cannot say so: the task fails at its end.
  void Put(uint32_t tenant, Table table, std::string_view key, std::string_view value) override {
    Note(PutSealed(tenant, table, key, value));
  }
  void Delete(uint32_t tenant, Table table, std::string_view key) override {
    Note(DeleteMasked(tenant, table, key));
  }
  absl::StatusOr<std::vector<Row>> Scan(uint32_t tenant, Table table, const ScanRange& range) override {
    KS_ASSIGN_OR_RETURN(TenantCipher* const cipher, Of(tenant));
    return ScanMasked(*cipher, tenant, table, range,
                      [&](const ScanRange& masked) { return inner_.Scan(tenant, table, masked); });
  }
  void EraseTenant(uint32_t tenant) override { inner_.EraseTenant(tenant); }

  const absl::Status& failure() const { return failure_; }

 private:
  absl::Status PutSealed(uint32_t tenant, Table table, std::string_view key, std::string_view value) {
    KS_ASSIGN_OR_RETURN(TenantCipher* const cipher, Of(tenant));
    KS_ASSIGN_OR_RETURN(const MaskedKey masked, Masked(*cipher, table, key));
    KS_ASSIGN_OR_RETURN(const std::string sealed, SealRow(*cipher, tenant, table, masked, key, value));
    inner_.Put(tenant, table, masked.bytes, sealed);
    return absl::OkStatus();
  }
  absl::Status DeleteMasked(uint32_t tenant, Table table, std::string_view key) {
    KS_ASSIGN_OR_RETURN(TenantCipher* const cipher, Of(tenant));
    KS_ASSIGN_OR_RETURN(const MaskedKey masked, Masked(*cipher, table, key));
    inner_.Delete(tenant, table, masked.bytes);
    return absl::OkStatus();
  }
  void Note(absl::Status status) {
    if (failure_.ok()) failure_ = std::move(status);
  }
  // Most tasks touch one tenant.
  absl::StatusOr<TenantCipher*> Of(uint32_t tenant) {
    if (last_ == nullptr || last_tenant_ != tenant) {
      KS_ASSIGN_OR_RETURN(last_, ciphers_.Of(tenant));
      last_tenant_ = tenant;
    }
    return last_.get();
  }

  storage::Transaction& inner_;
  Ciphers& ciphers_;
  uint32_t last_tenant_ = 0;
  std::shared_ptr<TenantCipher> last_;
  absl::Status failure_;
};

class EncryptedTask final : public storage::Task {
 public:
  EncryptedTask(std::unique_ptr<storage::Task> task, Ciphers* ciphers)
      : task_(std::move(task)), ciphers_(ciphers) {}
  absl::Status Prepare(storage::Transaction& transaction) override {
    EncryptedTransaction encrypted(transaction, *ciphers_);
    KS_RETURN_IF_ERROR(task_->Prepare(encrypted));
    return encrypted.failure();
  }
  void Done(const absl::Status& status) override { task_->Done(status); }
  size_t bytes() const override { return task_->bytes(); }
  storage::Durability durability() const override { return task_->durability(); }

 private:
  const std::unique_ptr<storage::Task> task_;
  Ciphers* const ciphers_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<TenantCipher>> Ciphers::Of(uint32_t tenant) {
  {
    absl::MutexLock lock(&mutex_);
    if (retired_.contains(tenant)) return absl::UnavailableError("the tenant has another number now");
    if (const auto found = ciphers_.find(tenant); found != ciphers_.end()) return found->second;
  }
  absl::StatusOr<std::shared_ptr<TenantCipher>> made = TenantCipher::Open(keys_, tenant);
  if (absl::IsNotFound(made.status())) {
    return absl::DataLossError(
        absl::StrCat("the keystore has no key of tenant ", tenant, ": restore the keystore from its backup"));
  }
  if (!made.ok()) return made.status();
  absl::MutexLock lock(&mutex_);
  if (destroyed_.contains(tenant)) return absl::DataLossError("the key of the tenant was destroyed");
  return ciphers_.try_emplace(tenant, *std::move(made)).first->second;
}

absl::Status Ciphers::DestroyKey(uint32_t tenant) {
  {
    absl::MutexLock lock(&mutex_);
    destroyed_.insert(tenant);
    ciphers_.erase(tenant);
  }
  return keys_->Destroy(tenant);
}

void Ciphers::Retire(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  retired_.insert(tenant);
  ciphers_.erase(tenant);
}

void Ciphers::Reinstate(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  retired_.erase(tenant);
}

std::optional<InstantiationId> InstantiationOfGroup(std::string_view bytes) {
  constexpr int kHeader = 1;         // of SealedGroup
  constexpr int kTenant = 1;         // of StreamHeader
  constexpr int kInstantiation = 2;  // likewise
  wire::Reader group(bytes);
  if (!group.Tag(wire::BytesTag(kHeader))) return std::nullopt;
  const auto header = group.LengthAndBytes(bytes.size());
  if (!header.has_value()) return std::nullopt;
  wire::Reader fields(*header);
  if (fields.Tag(wire::BytesTag(kTenant)) && !fields.LengthAndBytes(header->size()).has_value())
    return std::nullopt;
  if (!fields.Tag(wire::BytesTag(kInstantiation))) return std::nullopt;
  const auto id = fields.LengthAndBytes(header->size());
  if (!id.has_value()) return std::nullopt;
  const auto parsed = InstantiationId::FromBytes(*id);
  return parsed.ok() ? std::optional(*parsed) : std::nullopt;
}

absl::Status EncryptedStore::Submit(std::unique_ptr<storage::Task> task) {
  return inner_->Submit(std::make_unique<EncryptedTask>(std::move(task), ciphers_));
}

absl::StatusOr<std::vector<Entry>> EncryptedStore::Read(LogRef log, uint64_t from, size_t max_bytes) const {
  KS_ASSIGN_OR_RETURN(std::vector<Entry> entries, inner_->Read(log, from, max_bytes));
  if (entries.empty()) return entries;
  KS_ASSIGN_OR_RETURN(const std::shared_ptr<TenantCipher> cipher, ciphers_->Of(log.tenant));
  for (Entry& entry : entries) {
    KS_ASSIGN_OR_RETURN(std::string plain,
                        cipher->Unseal(AsBytes(EntryAad(log, entry.offset)), *entry.bytes));
    entry.bytes = std::make_shared<const std::string>(std::move(plain));
  }
  return entries;
}

absl::StatusOr<std::optional<std::string>> EncryptedStore::Get(uint32_t tenant, Table table,
                                                               std::string_view key) const {
  KS_ASSIGN_OR_RETURN(const std::shared_ptr<TenantCipher> cipher, ciphers_->Of(tenant));
  KS_ASSIGN_OR_RETURN(const MaskedKey masked, Masked(*cipher, table, key));
  KS_ASSIGN_OR_RETURN(const auto sealed, inner_->Get(tenant, table, masked.bytes));
  if (!sealed.has_value()) return std::nullopt;
  KS_ASSIGN_OR_RETURN(Row row, UnsealRow(*cipher, tenant, table, masked.bytes, *sealed));
  return std::move(row.value);
}

absl::StatusOr<std::vector<Row>> EncryptedStore::Scan(uint32_t tenant, Table table,
                                                      const ScanRange& range) const {
  KS_ASSIGN_OR_RETURN(const std::shared_ptr<TenantCipher> cipher, ciphers_->Of(tenant));
  const auto scan = [&](const ScanRange& masked) { return inner_->Scan(tenant, table, masked); };
  if (tenant != kOwnTenant || !HoldsNames(table)) return ScanMasked(*cipher, tenant, table, range, scan);
  KS_ASSIGN_OR_RETURN(const MaskedKey prefix, Masked(*cipher, table, range.prefix));
  KS_ASSIGN_OR_RETURN(const MaskedKey masked_after, Masked(*cipher, table, range.after));
  std::string after = masked_after.bytes;
  std::vector<Row> out;
  while (out.size() < range.max_rows) {
    const size_t room = range.max_rows - out.size();
    KS_ASSIGN_OR_RETURN(const std::vector<Row> found,
                        scan({.prefix = prefix.bytes, .after = after, .max_rows = room}));
    for (const Row& row : found) {
      absl::StatusOr<Row> opened = UnsealRow(*cipher, tenant, table, row.key, row.value);
      if (opened.ok()) {
        out.push_back(*std::move(opened));
      } else if (absl::IsDataLoss(opened.status())) {
        Log(LogLevel::kError, "own_row_damaged",
            {{"table", static_cast<int>(table)}, {"key", ToHex(AsBytes(row.key))}});
      } else {
        return opened.status();
      }
    }
    if (found.size() < room) break;
    after = found.back().key;
  }
  return out;
}

}  // namespace keystead::backend::at_rest
