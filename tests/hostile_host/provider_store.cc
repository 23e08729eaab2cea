#include "tests/hostile_host/provider_store.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "backend/at_rest/row_crypt.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/copies/backup_file.h"
#include "core/program/files.h"
#include "core/storage/keys.h"
#include "core/storage/rocksdb_options.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"

namespace keystead::hostile_host {
namespace {

namespace at_rest = backend::at_rest;

constexpr std::string_view kEntriesFamily = "entries";
constexpr size_t kMaxBackupBytes = 1 << 30;

absl::Status Convert(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNotFound()) return absl::NotFoundError(absl::StrCat(Absl(doing), ": nothing stands there"));
  return absl::FailedPreconditionError(absl::StrCat(Absl(doing), ": ", status.ToString()));
}

std::string KeyOf(const Place& place) {
  return std::string(storage::EntryKey(place.log, place.offset).view());
}

}  // namespace

struct ProviderStore::Database {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;  // rows, entries
  ~Database() {
    for (rocksdb::ColumnFamilyHandle* family : families)
      db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
};

ProviderStore::ProviderStore() : database_(std::make_unique<Database>()) {}
ProviderStore::~ProviderStore() = default;

absl::StatusOr<std::unique_ptr<ProviderStore>> ProviderStore::Open(const std::string& store,
                                                                   const std::string& keystore,
                                                                   Access access) {
  std::unique_ptr<ProviderStore> out(new ProviderStore);
  if (!keystore.empty()) {
    if (!std::filesystem::is_directory(keystore))
      return absl::NotFoundError(absl::StrCat("there is no keystore at ", keystore, ": check --keystore"));
    KS_ASSIGN_OR_RETURN(out->keys_, at_rest::FileKeyStore::Open(keystore));
    out->ciphers_ = std::make_unique<at_rest::Ciphers>(out->keys_.get());
  }
  storage::Options options;
  options.path = store;
  options.create_if_missing = false;
  rocksdb::DBOptions db_options = storage::MakeDbOptions(options, rocksdb::Env::Default());
  db_options.create_missing_column_families = false;
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, storage::MakeRowsOptions(options)},
      {std::string(kEntriesFamily),
       storage::MakeEntriesOptions(options, std::make_shared<storage::TrimTable>())}};
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      access == Access::kEdit
          ? rocksdb::DB::Open(db_options, store, families, &out->database_->families, &db)
          : rocksdb::DB::OpenForReadOnly(db_options, store, families, &out->database_->families, &db);
  KS_RETURN_IF_ERROR(Convert(opened, absl::StrCat("store ", store, " cannot be opened")));
  out->database_->db.reset(db);
  return out;
}

StoredGroup ProviderStore::Opened(const Place& place, std::string stored) {
  StoredGroup out{place, std::move(stored), std::nullopt, false};
  if (MutantActive(Mutant::kNoSealing)) {  // such a backend encrypts nothing at rest either
    out.group = out.stored;
    return out;
  }
  if (ciphers_ == nullptr) return out;
  const auto cipher = ciphers_->Of(place.log.tenant);
  if (!cipher.ok()) return out;
  auto group = (*cipher)->Unseal(AsBytes(at_rest::EntryAad(place.log, place.offset)), out.stored);
  if (group.ok()) out.group = *std::move(group);
  return out;
}

absl::StatusOr<std::vector<StoredGroup>> ProviderStore::Groups() {
  std::vector<StoredGroup> out;
  storage::Bounds bounds;
  const std::unique_ptr<rocksdb::Iterator> it(database_->db->NewIterator({}, database_->families[1]));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const auto key = storage::DecodeEntryKey(it->key().ToStringView());
    if (!key.has_value()) continue;
    if (out.empty() || out.back().place.log != key->log) {
      std::string row;
      const rocksdb::Status read =
          database_->db->Get({}, database_->families[0], storage::BoundsKey(key->log), &row);
      bounds = read.ok() ? storage::DecodeBounds(row).value_or(storage::Bounds()) : storage::Bounds();
    }
    out.push_back(Opened({key->log, key->offset}, it->value().ToString()));
    out.back().trimmed = key->offset < bounds.first;
  }
  KS_RETURN_IF_ERROR(Convert(it->status(), "reading the store"));
  return out;
}

absl::StatusOr<std::map<int, uint64_t>> ProviderStore::Tables() {
  constexpr size_t kKindAt = storage::kTenantBytes;
  constexpr char kRow = 1;  // core/storage/keys.h
  std::map<int, uint64_t> out;
  const std::unique_ptr<rocksdb::Iterator> it(database_->db->NewIterator({}, database_->families[0]));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const std::string_view key = it->key().ToStringView();
    if (key.size() >= storage::kRowPrefixBytes && key[kKindAt] == kRow)
      ++out[static_cast<unsigned char>(key[kKindAt + 1])];
  }
  KS_RETURN_IF_ERROR(Convert(it->status(), "reading the store's rows"));
  return out;
}

absl::StatusOr<std::vector<StoredGroup>> ProviderStore::GroupsOfBackup(const std::string& file) {
  KS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file, kMaxBackupBytes));
  copies::FrameReader reader;
  reader.Feed(bytes);
  std::optional<copies::BackupHeader> header;
  std::vector<StoredGroup> out;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::optional<copies::Frame> frame, reader.Next());
    if (!frame.has_value() || frame->kind == copies::kTrailerKind) break;
    if (!header.has_value()) {
      KS_ASSIGN_OR_RETURN(header, copies::DecodeBackupHeader(*frame));
      continue;
    }
    KS_ASSIGN_OR_RETURN(storage::TenantItem item, copies::DecodeItem(*frame));
    if (item.kind == storage::TenantItem::Kind::kEntry)
      out.push_back(Opened({{header->number, item.log}, item.offset}, std::move(item.value)));
  }
  return out;
}

absl::StatusOr<StoredGroup> ProviderStore::Read(const Place& place) {
  std::string stored;
  KS_RETURN_IF_ERROR(
      Convert(database_->db->Get({}, database_->families[1], KeyOf(place), &stored), "reading a group"));
  return Opened(place, std::move(stored));
}

absl::Status ProviderStore::PutStored(const Place& place, const std::string& stored) {
  rocksdb::WriteOptions write;
  write.sync = true;
  return Convert(database_->db->Put(write, database_->families[1], KeyOf(place), stored), "writing a group");
}

absl::Status ProviderStore::PutGroup(const Place& place, const std::string& group) {
  if (MutantActive(Mutant::kNoSealing)) return PutStored(place, group);
  if (ciphers_ == nullptr)
    return absl::FailedPreconditionError("a group is encrypted at rest: give the provider's --keystore");
  KS_ASSIGN_OR_RETURN(const auto cipher, ciphers_->Of(place.log.tenant));
  KS_ASSIGN_OR_RETURN(const std::string stored,
                      cipher->Seal(at_rest::CompartmentOf(*cipher, at_rest::InstantiationOfGroup(group)),
                                   AsBytes(at_rest::EntryAad(place.log, place.offset)), group));
  return PutStored(place, stored);
}

absl::Status ProviderStore::Remove(const Place& place) {
  rocksdb::WriteOptions write;
  write.sync = true;
  return Convert(database_->db->Delete(write, database_->families[1], KeyOf(place)), "removing a group");
}

}  // namespace keystead::hostile_host
