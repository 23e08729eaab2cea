#include "device-sim/diary.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/base/big_endian.h"
#include "core/base/bytes.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/crypto/hkdf.h"
#include "core/observe/log.h"

namespace keystead::device_sim {
namespace {

constexpr StateFolder::Format kFormat{"ks-device-diary", 1};
constexpr storage::LogRef kRecords{1, 0};
constexpr size_t kWriteBufferBytes = 1 << 20;
constexpr size_t kSlackBytes = 2 << 20;  // on disk, beyond twice what may be kept
constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kNameBytes = 8;
constexpr size_t kHeadBytes = StreamId::kSize + 8;

std::string KeyFile(const std::string& id) { return id + ".diary"; }

// Says which records are under a key and nothing about the key.
absl::StatusOr<std::string> FolderFor(const std::string& id, const SecretBytes& key) {
  KS_ASSIGN_OR_RETURN(const SecretBytes name, crypto::HkdfExpand(key, "ks1 diary name", kNameBytes));
  return absl::StrCat(KeyFile(id), "-", ToHex(name.ExposeSecret()));
}

// Folders of records of this device; whose key is gone opens to nobody.
std::vector<std::filesystem::path> FoldersOf(const StateFolder& folder, const std::string& id) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  const std::string prefix = KeyFile(id) + "-";
  for (const auto& entry : std::filesystem::directory_iterator(folder.path(), error)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  return found;
}

absl::Status RemoveFoldersBut(const StateFolder& folder, const std::string& id, const std::string& kept) {
  for (const std::filesystem::path& path : FoldersOf(folder, id)) {
    if (path.filename() == kept) continue;
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error)
      return absl::PermissionDeniedError(
          absl::StrCat("cannot remove ", path.string(), ": remove it by hand"));
    Log(LogLevel::kInfo, "diary_forgotten", {{"device", id}});
  }
  return absl::OkStatus();
}

absl::StatusOr<SecretBytes> LoadOrMakeKey(const StateFolder& folder, const std::string& id, bool forget,
                                          RandomSource& random) {
  const std::string file = KeyFile(id);
  if (MutantActive(Mutant::kResetKeepsKey)) forget = false;
  const auto remedy = [](const absl::Status& why) {
    return absl::Status(why.code(), absl::StrCat(why.message(), ": restore it from a copy, or start with ",
                                                 "--reset to forget what was kept"));
  };
  if (!forget && folder.Has(file)) {
    absl::StatusOr<SecretBytes> key = folder.ReadChecked(file, kFormat);
    if (!key.ok()) return remedy(key.status());
    if (key->size() == kSecretBytes) return key;
    return remedy(absl::DataLossError(absl::StrCat(folder.PathOf(file), " is damaged")));
  }
  if (!forget && !FoldersOf(folder, id).empty())
    return remedy(absl::DataLossError(absl::StrCat(folder.PathOf(file), " is missing")));
  SecretBytes key = random.Secret(kSecretBytes);
  KS_RETURN_IF_ERROR(folder.WriteChecked(file, kFormat, key));
  return key;
}

}  // namespace

Diary::Diary(SenderKey key, std::string id, size_t max_bytes)
    : key_(std::move(key)), id_(std::move(id)), max_bytes_(max_bytes) {}

absl::StatusOr<std::unique_ptr<Diary>> Diary::Open(const StateFolder& folder, const std::string& id,
                                                   size_t max_bytes, bool forget, RandomSource& random) {
  KS_ASSIGN_OR_RETURN(SecretBytes key, LoadOrMakeKey(folder, id, forget, random));
  KS_ASSIGN_OR_RETURN(const std::string name, FolderFor(id, key));
  KS_RETURN_IF_ERROR(RemoveFoldersBut(folder, id, name));  // also what a reset that was cut short left
  std::unique_ptr<Diary> diary(new Diary(SenderKey(std::move(key)), id, max_bytes));
  KS_RETURN_IF_ERROR(diary->Begin(folder.PathOf(name), random));
  return diary;
}

absl::Status Diary::Begin(const std::string& path, RandomSource& random) {
  storage::Options options;
  options.path = path;
  options.format_name = "keystead-device-diary";
  options.tail_cache_bytes = kReadBytes;
  options.write_buffer_bytes = kWriteBufferBytes;
  options.block_cache_bytes = kReadBytes;
  KS_ASSIGN_OR_RETURN(store_, storage::LogStore::Open(options));
  KS_RETURN_IF_ERROR(ForEach([this](std::string_view entry) {
    sizes_.push_back(entry.size());
    bytes_ += entry.size();
    return absl::OkStatus();
  }));
  stream_ = random.NewId<StreamId>();
  KS_ASSIGN_OR_RETURN(RecordCipher cipher, RecordCipher::Create(key_, PlaceOf(stream_)));
  cipher_ = std::make_unique<RecordCipher>(std::move(cipher));
  return absl::OkStatus();
}

// Oldest first.
absl::Status Diary::ForEach(const std::function<absl::Status(std::string_view)>& take) const {
  KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, store_->GetBounds(kRecords));
  for (uint64_t at = bounds.first; at < bounds.end;) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Entry> entries, store_->Read(kRecords, at, kReadBytes));
    for (const storage::Entry& entry : entries) KS_RETURN_IF_ERROR(take(*entry.bytes));
    at += entries.size();
  }
  return absl::OkStatus();
}

StreamPlace Diary::PlaceOf(const StreamId& stream) const {
  StreamPlace place;
  place.topic = Topic::Of(TopicKind::kTelemetry, MemberId());
  place.stream = stream;
  return place;
}

absl::Status Diary::Keep(ByteView plaintext) {
  Bytes record;
  KS_RETURN_IF_ERROR(cipher_->Seal(++sequence_, plaintext, record));
  std::string entry;
  entry.reserve(kHeadBytes + record.size());
  entry.append(ToString(stream_.view()));
  PutNumber(entry, sequence_);
  entry.append(ToString(record));
  const size_t size = entry.size();
  if (size > max_bytes_) return absl::InvalidArgumentError("a record is larger than all that may be kept");
  size_t bytes = bytes_ + size;
  size_t gone = 0;
  while (bytes > max_bytes_) bytes -= sizes_[gone++];
  const auto payload = std::make_shared<const std::string>(std::move(entry));
  KS_RETURN_IF_ERROR(store_->Commit(
      [&](storage::Transaction& transaction) -> absl::Status {
        KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, transaction.GetBounds(kRecords));
        KS_RETURN_IF_ERROR(transaction.Append(kRecords, payload).status());
        return gone == 0 ? absl::OkStatus() : transaction.Trim(kRecords, bounds.first + gone);
      },
      storage::Durability::kBuffered));
  sizes_.push_back(size);
  sizes_.erase(sizes_.begin(), sizes_.begin() + static_cast<ptrdiff_t>(gone));
  bytes_ = bytes;
  dropped_ += gone;
  unsynced_ += size;
  return unsynced_ < kSlackBytes ? absl::OkStatus() : Sync();
}

absl::Status Diary::Sync() {
  KS_RETURN_IF_ERROR(store_->Commit([](storage::Transaction&) { return absl::OkStatus(); }));
  unsynced_ = 0;
  // What was dropped leaves the files by itself when there is a lot of it; here it shall not grow to that.
  return store_->GetStats().disk_bytes > 2 * max_bytes_ + kSlackBytes ? store_->Reclaim(kRecords.tenant)
                                                                      : absl::OkStatus();
}

absl::StatusOr<uint64_t> Diary::Read(const std::function<void(ByteView)>& take) const {
  uint64_t damaged = 0;
  StreamId stream;
  std::unique_ptr<RecordCipher> cipher;
  Bytes plaintext;
  KS_RETURN_IF_ERROR(ForEach([&](std::string_view entry) -> absl::Status {
    if (entry.size() < kHeadBytes) {
      ++damaged;
      return absl::OkStatus();
    }
    KS_ASSIGN_OR_RETURN(const StreamId of, StreamId::FromBytes(entry.substr(0, StreamId::kSize)));
    if (cipher == nullptr || of != stream) {
      KS_ASSIGN_OR_RETURN(RecordCipher made, RecordCipher::Create(key_, PlaceOf(of)));
      cipher = std::make_unique<RecordCipher>(std::move(made));
      stream = of;
    }
    const uint64_t sequence = GetNumber(entry.substr(StreamId::kSize, 8));
    if (cipher->Open(sequence, AsBytes(entry.substr(kHeadBytes)), plaintext).ok()) {
      take(plaintext);
    } else {
      ++damaged;
    }
    return absl::OkStatus();
  }));
  return damaged;
}

absl::Status ForgetDiary(const StateFolder& folder, const std::string& id) {
  KS_RETURN_IF_ERROR(folder.Remove(KeyFile(id)));
  return RemoveFoldersBut(folder, id, "");
}

}  // namespace keystead::device_sim
