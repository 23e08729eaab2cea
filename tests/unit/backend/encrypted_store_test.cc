// What the owner of the disk gets to see, and what an owner who changes it gains.
#include "backend/at_rest/encrypted_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "backend/at_rest/file_keystore.h"
#include "backend/rows.h"
#include "core/base/random.h"
#include "core/transport/record_log.h"
#include "core/transport/record_log_rows.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::backend::at_rest {
namespace {

using keystead::testing::ReadAll;
using keystead::testing::TestPki;
using ::testing::ElementsAre;

constexpr uint32_t kTenant = 3;
constexpr uint32_t kOther = 4;
constexpr storage::LogRef kLog{kTenant, 5};
constexpr char kCanary[] = "canary-in-a-payload";

class EncryptedStoreTest : public ::testing::Test {
 protected:
  EncryptedStoreTest() {
    keys_ = *FileKeyStore::Open(folder_ + "/keys");
    EXPECT_TRUE(keys_->Create(kOwnTenant).ok() && keys_->Create(kTenant).ok() && keys_->Create(kOther).ok());
    Open(folder_ + "/store");
  }
  void Open(const std::string& path) {
    Close();
    storage::Options options;
    options.path = path;
    options.format_name = "test";
    disk_ = *storage::LogStore::Open(options);
    ciphers_ = std::make_unique<Ciphers>(keys_.get());
    store_ = std::make_unique<EncryptedStore>(disk_.get(), ciphers_.get());
  }
  void Close() {
    disk_.reset();
    store_.reset();
    ciphers_.reset();
  }
  static std::string GroupOf(const InstantiationId& id, std::string_view cose) {
    GroupHeader header;
    header.tenant = testing::Tenant(testing::kAcme);
    header.instantiation = id;
    header.topic = Topic::Keyring();
    header.sender = RandomSource::System().NewId<MemberId>();
    GroupBuilder builder(header);
    EXPECT_TRUE(builder.Append(0, AsBytes(cose)).ok());
    return *builder.Take();
  }
  absl::Status Append(const std::string& bytes, storage::LogRef log = kLog) {
    return store_->Commit([&](storage::Transaction& transaction) {
      return transaction.Append(log, std::make_shared<const std::string>(bytes)).status();
    });
  }
  absl::Status Put(uint32_t tenant, storage::Table table, const std::string& key, const std::string& value) {
    return store_->Commit([&](storage::Transaction& transaction) {
      transaction.Put(tenant, table, key, value);
      return absl::OkStatus();
    });
  }
  std::vector<std::string> ReadLog(storage::LogRef log = kLog) {
    std::vector<std::string> out;
    const auto entries = store_->Read(log, 0, 1 << 20);
    if (!entries.ok()) return {std::string(entries.status().message())};
    for (const storage::Entry& entry : *entries) out.push_back(*entry.bytes);
    return out;
  }
  // Whether the bytes are anywhere in the files of the store.
  bool OnDisk(std::string_view needle) const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ + "/store")) {
      if (entry.is_regular_file() && ReadAll(entry.path().string()).find(needle) != std::string::npos)
        return true;
    }
    return false;
  }

  const std::string folder_ = TestPki::Shared().NewFolder();
  const InstantiationId home_ = RandomSource::System().NewId<InstantiationId>();
  std::unique_ptr<FileKeyStore> keys_;
  std::unique_ptr<storage::LogStore> disk_;
  std::unique_ptr<Ciphers> ciphers_;
  std::unique_ptr<EncryptedStore> store_;
};

TEST_F(EncryptedStoreTest, UsersSeeWhatTheyWroteAndTheDiskDoesNot) {
  const std::string group = GroupOf(home_, kCanary);
  const std::string topic_key = rows::TopicKeyOf(home_, Topic::Keyring());
  ASSERT_TRUE(Append(group).ok() && Append("no group: " + std::string(kCanary)).ok());
  ASSERT_TRUE(Put(kTenant, kTopicTable, topic_key, kCanary).ok());
  ASSERT_TRUE(Put(kTenant, kDeviceTable, "device-thumbprint", kCanary).ok());
  ASSERT_TRUE(Put(kOwnTenant, kTenantTable, testing::kAcme, kCanary).ok());
  ASSERT_TRUE(disk_
                  ->Commit([](storage::Transaction& transaction) {
                    transaction.Put(kOther, kTenantTable, "beside the cipher", "in the clear");
                    return absl::OkStatus();
                  })
                  .ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(ReadLog(), ElementsAre(group, "no group: " + std::string(kCanary)));
    EXPECT_EQ(**store_->Get(kTenant, kTopicTable, topic_key), kCanary);
    EXPECT_EQ(**store_->Get(kTenant, kDeviceTable, "device-thumbprint"), kCanary);
    EXPECT_EQ(**store_->Get(kOwnTenant, kTenantTable, testing::kAcme), kCanary);
    EXPECT_EQ(*store_->Get(kTenant, kDeviceTable, "another"), std::nullopt);
    EXPECT_EQ(*store_->Get(kOther, kDeviceTable, "device-thumbprint"), std::nullopt);
    Open(folder_ + "/store");
  }
  Close();
  EXPECT_TRUE(OnDisk("in the clear"));  // the search finds what is there
  for (const std::string& secret : {std::string(kCanary), home_.ToString(), std::string("keyring"),
                                    std::string("device-thumbprint"), std::string(testing::kAcme)}) {
    EXPECT_FALSE(OnDisk(secret)) << secret;
  }
}

TEST_F(EncryptedStoreTest, ScansFindRowsByNameInTheOrderOfTheirNumbers) {
  for (const uint64_t epoch : {2, 0, 1, 300}) {
    ASSERT_TRUE(Put(kTenant, kCommitTable, CommitKey(home_, epoch), std::to_string(epoch)).ok());
  }
  const InstantiationId other = RandomSource::System().NewId<InstantiationId>();
  ASSERT_TRUE(Put(kTenant, kCommitTable, CommitKey(other, 0), "other").ok());
  const std::string prefix = home_.ToString();
  std::vector<std::string> values, keys;
  std::string after;
  while (true) {  // in pieces, as its users do
    const auto rows = store_->Scan(kTenant, kCommitTable, {.prefix = prefix, .after = after, .max_rows = 3});
    ASSERT_TRUE(rows.ok()) << rows.status();
    if (rows->empty()) break;
    for (const storage::Row& row : *rows) values.push_back(row.value), keys.push_back(row.key);
    after = rows->back().key;
  }
  EXPECT_THAT(values, ElementsAre("0", "1", "2", "300"));
  EXPECT_EQ(keys.back(), CommitKey(home_, 300));
  EXPECT_EQ(store_->Scan(kTenant, kCommitTable, {.prefix = prefix.substr(0, 5)}).status().code(),
            absl::StatusCode::kInternal);  // no prefix ends inside of a name
}

TEST_F(EncryptedStoreTest, WhatIsMovedOrExchangedDoesNotOpen) {
  ASSERT_TRUE(Append("first").ok() && Append("second").ok() && Append("other's", {kOther, 5}).ok());
  const std::vector<storage::Entry> raw = *disk_->Read(kLog, 0, 1 << 20);
  const std::vector<storage::Entry> raw_other = *disk_->Read({kOther, 5}, 0, 1 << 20);
  // Written again by the owner of the disk, into a log of its own making.
  const auto forge = [&](storage::LogRef log, const std::vector<storage::Payload>& entries) {
    EXPECT_TRUE(disk_
                    ->Commit([&](storage::Transaction& transaction) -> absl::Status {
                      for (const storage::Payload& bytes : entries) {
                        if (const auto at = transaction.Append(log, bytes); !at.ok()) return at.status();
                      }
                      return absl::OkStatus();
                    })
                    .ok());
    return store_->Read(log, 0, 1 << 20).status().code();
  };
  constexpr auto kDamaged = absl::StatusCode::kDataLoss;
  EXPECT_EQ(forge({kTenant, 6}, {raw[0].bytes, raw[1].bytes}), kDamaged);  // another log
  EXPECT_EQ(forge({kTenant, 7}, {raw_other[0].bytes}), kDamaged);          // another tenant
  // Of an instantiation, whose keys depend on a salt that this tenant has not.
  ASSERT_TRUE(Append(GroupOf(home_, kCanary), {kOther, 6}).ok());
  const std::vector<storage::Entry> of_home = *disk_->Read({kOther, 6}, 0, 1 << 20);
  EXPECT_EQ(forge({kTenant, 8}, {of_home[0].bytes}), kDamaged);
  std::string flipped = *raw[1].bytes;
  for (size_t at = 0; at < flipped.size(); ++at) {
    const std::string was = flipped;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    EXPECT_FALSE(ciphers_->Of(kTenant).value()->Unseal(AsBytes(""), flipped).ok()) << at;
    flipped = was;
  }
  for (const std::string& junk : {std::string(), std::string("\x01"), std::string(200, 'x')}) {
    EXPECT_FALSE(ciphers_->Of(kTenant).value()->Unseal(AsBytes(""), junk).ok());
  }
  EXPECT_THAT(ReadLog(), ElementsAre("first", "second"));
}

// Two futures of one past: the store is put back to a copy, and goes on from there.
TEST_F(EncryptedStoreTest, AStoreThatWasPutBackRepeatsNoNonce) {
  ASSERT_TRUE(Append("before").ok());
  Close();
  std::filesystem::copy(folder_ + "/store", folder_ + "/backup", std::filesystem::copy_options::recursive);
  std::set<std::string> places;  // version, compartment, segment, counter
  size_t sealed = 0;
  const auto collect = [&](const std::string& path) {
    Open(path);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(Append("after " + std::to_string(i)).ok());
    const std::vector<storage::Entry> after = *disk_->Read(kLog, 1, 1 << 20);
    for (const storage::Entry& entry : after) {
      places.insert(entry.bytes->substr(0, kSealedHeaderBytes));
      ++sealed;
    }
  };
  collect(folder_ + "/store");
  collect(folder_ + "/backup");
  EXPECT_EQ(sealed, 40u);
  EXPECT_EQ(places.size(), sealed);
}

TEST_F(EncryptedStoreTest, ARotatedKeyOpensOldAndNew) {
  ASSERT_TRUE(Append("old").ok());
  const std::string before = *(*disk_->Read(kLog, 0, 1000))[0].bytes;
  ASSERT_TRUE(keys_->Rotate(kTenant).ok());
  ASSERT_TRUE(ciphers_->Of(kTenant).value()->TakeNewVersion().ok());
  ASSERT_TRUE(Append("new").ok());
  EXPECT_THAT(ReadLog(), ElementsAre("old", "new"));
  EXPECT_EQ(*(*disk_->Read(kLog, 0, 1000))[0].bytes, before);  // not rewritten
  EXPECT_EQ((*disk_->Read(kLog, 1, 1000))[0].bytes->substr(1, 2), std::string("\0\2", 2));
  Open(folder_ + "/store");
  EXPECT_THAT(ReadLog(), ElementsAre("old", "new"));
}

TEST_F(EncryptedStoreTest, WithoutTheKeyNothingOpens) {
  ASSERT_TRUE(Append(GroupOf(home_, kCanary)).ok());
  ASSERT_TRUE(Append("other's", {kOther, 5}).ok());
  ASSERT_TRUE(keys_->Destroy(kTenant).ok());
  Open(folder_ + "/store");
  const auto read = store_->Read(kLog, 0, 1000);
  EXPECT_TRUE(absl::IsDataLoss(read.status()));
  EXPECT_NE(read.status().message().find("keystore"), absl::string_view::npos) << read.status();
  EXPECT_FALSE(Append("more").ok());
  EXPECT_FALSE(Put(kTenant, kDeviceTable, "key", "value").ok());
  EXPECT_THAT(ReadLog({kOther, 5}), ElementsAre("other's"));
}

TEST_F(EncryptedStoreTest, OneInstantiationGoesWithItsSalt) {
  const InstantiationId other = RandomSource::System().NewId<InstantiationId>();
  ASSERT_TRUE(Append(GroupOf(home_, kCanary), {kTenant, 10}).ok());
  ASSERT_TRUE(Append(GroupOf(other, "stays"), {kTenant, 11}).ok());
  ASSERT_TRUE(Put(kTenant, kCommitTable, CommitKey(home_, 0), "commit").ok());
  const auto cipher = *ciphers_->Of(kTenant);
  const CompartmentId compartment = cipher->CompartmentOf(home_);
  ASSERT_TRUE(keys_->DestroySalt(kTenant, compartment).ok());
  cipher->Forget(compartment);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(absl::IsDataLoss(store_->Read({kTenant, 10}, 0, 1000).status()));
    EXPECT_FALSE(store_->Get(kTenant, kCommitTable, CommitKey(home_, 0)).ok());
    EXPECT_TRUE(store_->Read({kTenant, 11}, 0, 1000).ok());
    Open(folder_ + "/store");
  }
}

// Whoever was reading the keys when they were destroyed, or half of them, brings nothing back.
TEST_F(EncryptedStoreTest, ADestroyedKeyDoesNotComeBack) {
  ASSERT_TRUE(Append(GroupOf(home_, kCanary)).ok());
  std::filesystem::create_directory(folder_ + "/keys/00000003/in-the-way");
  EXPECT_FALSE(ciphers_->DestroyKey(kTenant).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(keys_->Create(kTenant)));
  EXPECT_FALSE(ciphers_->Of(kTenant).ok());
  EXPECT_FALSE(Append(GroupOf(home_, kCanary)).ok());
  std::filesystem::remove(folder_ + "/keys/00000003/in-the-way");
  EXPECT_TRUE(ciphers_->DestroyKey(kTenant).ok());
  EXPECT_TRUE(ciphers_->Of(kOther).ok());
}

}  // namespace
}  // namespace keystead::backend::at_rest
