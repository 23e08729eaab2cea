// What an owner of the disk gains who changes the backend's own rows: which number is whose, whose CA is
// whose, who was erased.
#include "backend/at_rest/own_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "backend/at_rest/file_keystore.h"
#include "backend/rows.h"
#include "backend/tenant_view.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::backend::at_rest {
namespace {

using keystead::testing::kAcme;
using keystead::testing::kGlobex;
using keystead::testing::ReadAll;
using keystead::testing::Tenant;
using keystead::testing::TestPki;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kHooli[] = "hooli.keystead.example";
constexpr storage::Table kOfNames[] = {kTenantTable, kAdmittedTable, kLimitsTable};

std::string CaOf(std::string_view tenant) {
  return ReadAll(TestPki::Shared().tenant_folder(std::string(tenant)) + "/ca.pem");
}

// A store whose tenants were all created by an operator.
class OwnRowsTest : public ::testing::Test {
 protected:
  OwnRowsTest() {
    EXPECT_TRUE(Open().ok());
    EXPECT_TRUE(Create(kAcme).ok() && Create(kGlobex).ok());
  }
  absl::Status Open(const std::string& keystore = "/keys") {
    Close();
    keys_ = *FileKeyStore::Open(folder_ + keystore);
    ciphers_ = std::make_unique<Ciphers>(keys_.get());
    OpenDisk();
    store_ = std::make_unique<EncryptedStore>(disk_.get(), ciphers_.get());
    KS_RETURN_IF_ERROR(PairWithKeystore(*store_, *disk_, *keys_));
    return OpenTenants();
  }
  void OpenDisk() {
    storage::Options options;
    options.path = folder_ + "/store";
    options.format_name = "test";
    disk_ = *storage::LogStore::Open(options);
  }
  absl::Status OpenTenants() {
    tenants_.reset();
    directory_ = std::make_unique<TenantDirectory>();
    if (configured_) {
      for (const char* name : {kAcme, kGlobex})
        EXPECT_TRUE(directory_->Register(Tenant(name), CaOf(name)).ok());
    }
    KS_ASSIGN_OR_RETURN(tenants_, Tenants::Open(*store_, *directory_, {.keys = keys_.get()}));
    return absl::OkStatus();
  }
  void Close() {
    tenants_.reset();
    disk_.reset();
    store_.reset();
    ciphers_.reset();
    keys_.reset();
  }
  absl::Status Create(std::string_view name) {
    const TenantLimits limits{.streams = 7};
    return tenants_->Create(Tenant(name), CaOf(name == kGlobex ? kGlobex : kAcme), &limits);
  }
  uint32_t NumberOf(std::string_view name) const {
    const auto known = tenants_->Known(Tenant(name));
    return known.has_value() ? known->number() : 0;
  }
  std::vector<std::string> Served() const {
    std::vector<std::string> out;
    for (const TenantName& name : directory_->Tenants()) out.push_back(name.str());
    EXPECT_EQ(tenants_->size(), out.size());
    return out;
  }
  // As the disk has it.
  std::string KeyOf(storage::Table table, std::string_view name) {
    const std::string named = std::string(1, static_cast<char>(table)) + std::string(name);
    return (*ciphers_->Of(kOwnTenant))->Mask(AsBytes(named));
  }
  std::string Raw(storage::Table table, std::string_view name) {
    const auto row = *disk_->Get(kOwnTenant, table, KeyOf(table, name));
    EXPECT_TRUE(row.has_value());
    return row.value_or("");
  }
  void Overwrite(storage::Table table, std::string_view name, std::optional<std::string> value) {
    const std::string key = KeyOf(table, name);
    ASSERT_TRUE(disk_
                    ->Commit([&](storage::Transaction& transaction) {
                      if (value.has_value()) transaction.Put(kOwnTenant, table, key, *value);
                      if (!value.has_value()) transaction.Delete(kOwnTenant, table, key);
                      return absl::OkStatus();
                    })
                    .ok());
  }
  // Acme is refused, with an error that says whose it is, and what; Globex is not.
  void ExpectAcmeAloneIsLeftOut(std::string_view what) {
    ASSERT_TRUE(OpenTenants().ok());
    EXPECT_THAT(Served(), ElementsAre(kGlobex));
    const absl::Status again = Create(kAcme);  // and is not made anew over what is damaged
    EXPECT_TRUE(absl::IsDataLoss(again)) << again;
    EXPECT_THAT(std::string(again.message()), HasSubstr(what));
    EXPECT_THAT(std::string(again.message()), HasSubstr(kAcme));
    EXPECT_THAT(Served(), ElementsAre(kGlobex));
  }

  bool configured_ = false;
  const std::string folder_ = TestPki::Shared().NewFolder();
  std::unique_ptr<FileKeyStore> keys_;
  std::unique_ptr<storage::LogStore> disk_;
  std::unique_ptr<Ciphers> ciphers_;
  std::unique_ptr<EncryptedStore> store_;
  std::unique_ptr<TenantDirectory> directory_;
  std::unique_ptr<Tenants> tenants_;
};

TEST_F(OwnRowsTest, TheDiskNamesNobodyAndOpensForItsKeystoreAlone) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Served(), ElementsAre(kAcme, kGlobex));
    EXPECT_EQ(NumberOf(kAcme), 1u);
    EXPECT_EQ(NumberOf(kGlobex), 2u);
    EXPECT_EQ(tenants_->Known(Tenant(kAcme))->account().limits().streams, 7u);
    ASSERT_TRUE(Open().ok());
  }
  ASSERT_TRUE(disk_
                  ->Commit([](storage::Transaction& transaction) {
                    transaction.Put(9, kTenantTable, "beside the cipher", "in the clear");
                    return absl::OkStatus();
                  })
                  .ok());
  Close();
  bool sees = false;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ + "/store")) {
    if (!entry.is_regular_file()) continue;
    const std::string content = ReadAll(entry.path().string());
    sees = sees || content.find("in the clear") != std::string::npos;
    for (const std::string& secret : {std::string("acme"), std::string("CERTIFICATE"), CaOf(kAcme)})
      EXPECT_EQ(content.find(secret), std::string::npos) << entry.path() << " holds " << secret;
  }
  EXPECT_TRUE(sees);
  for (const std::string& keystore : {std::string("/absent"), std::string("/other")}) {
    if (keystore == "/other") EXPECT_TRUE((*FileKeyStore::Open(folder_ + keystore))->Create(kOwnTenant).ok());
    const absl::Status refused = Open(keystore);
    EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("--keystore"));
  }
  EXPECT_TRUE(Open().ok());
}

TEST_F(OwnRowsTest, AnExchangedCaIsFound) {
  Overwrite(kAdmittedTable, kAcme, Raw(kAdmittedTable, kGlobex));
  ExpectAcmeAloneIsLeftOut("the CA");
}

TEST_F(OwnRowsTest, ACaFromAnotherStoreIsFound) {
  auto keys = *FileKeyStore::Open(folder_ + "/other-keys");
  ASSERT_TRUE(keys->Create(kOwnTenant).ok());
  Ciphers ciphers(keys.get());
  std::string aad = std::string("r\0\0\0\0", 5) + std::string(1, static_cast<char>(kAdmittedTable)) +
                    KeyOf(kAdmittedTable, kAcme);
  const std::string plain = std::string("\0\0\0", 3) + static_cast<char>(std::string(kAcme).size()) + kAcme +
                            EncodeNumber(1) + CaOf(kGlobex);
  const auto sealed = [&](Ciphers& with) {
    return *(*with.Of(kOwnTenant))->Seal(CompartmentId(), AsBytes(aad), plain);
  };
  Overwrite(kAdmittedTable, kAcme, sealed(*ciphers_));  // were the key known, it would be believed
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_THAT(Served(), ElementsAre(kAcme, kGlobex));
  Overwrite(kAdmittedTable, kAcme, sealed(ciphers));
  ExpectAcmeAloneIsLeftOut("the CA");
}

TEST_F(OwnRowsTest, EveryEditedByteIsFound) {
  for (const storage::Table table : kOfNames) {
    const std::string good = Raw(table, kAcme);
    for (size_t at = 0; at < good.size(); at += at < kSealedHeaderBytes + 8 ? 1 : good.size() / 7) {
      std::string edited = good;
      edited[at] = static_cast<char>(edited[at] ^ 1);
      Overwrite(table, kAcme, edited);
      ASSERT_TRUE(OpenTenants().ok()) << at;
      EXPECT_THAT(Served(), ElementsAre(kGlobex)) << static_cast<int>(table) << " at " << at;
    }
    for (const std::string& junk : {std::string(), good.substr(0, good.size() - 1), good + "x"}) {
      Overwrite(table, kAcme, junk);
      ASSERT_TRUE(OpenTenants().ok());
      EXPECT_THAT(Served(), ElementsAre(kGlobex)) << static_cast<int>(table) << " " << junk.size();
    }
    Overwrite(table, kAcme, good);
  }
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_THAT(Served(), ElementsAre(kAcme, kGlobex));
}

TEST_F(OwnRowsTest, SwappedNumbersAreFoundAndNobodyGetsTheOthersRows) {
  const std::string acme = Raw(kTenantTable, kAcme);
  const std::string globex = Raw(kTenantTable, kGlobex);
  Overwrite(kTenantTable, kAcme, globex);
  ExpectAcmeAloneIsLeftOut("the number");
  Overwrite(kTenantTable, kGlobex, acme);
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_THAT(Served(), IsEmpty());
  Overwrite(kTenantTable, kAcme, acme);
  Overwrite(kTenantTable, kGlobex, globex);
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_EQ(NumberOf(kAcme), 1u);
}

TEST_F(OwnRowsTest, OneTablesValueIsNotAnothers) {
  Overwrite(kAdmittedTable, kAcme, Raw(kLimitsTable, kAcme));
  ExpectAcmeAloneIsLeftOut("the CA");
}

TEST_F(OwnRowsTest, WhoWasErasedIsNotLetInAgainBecauseTheRowIsDamaged) {
  configured_ = true;
  ASSERT_TRUE(OpenTenants().ok());
  ErasedRow row{.number = NumberOf(kAcme), .erased = absl::Now(), .was = {}, .complete = false};
  ASSERT_TRUE(tenants_->BeginErasing(*tenants_->Known(Tenant(kAcme)), row, "").ok());
  ASSERT_TRUE(ciphers_->DestroyKey(row.number).ok());
  ASSERT_TRUE(tenants_->FinishErasing(Tenant(kAcme), row).ok());
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_THAT(Served(), ElementsAre(kGlobex));
  std::string edited = Raw(kErasedTable, kAcme);
  edited.back() = static_cast<char>(edited.back() ^ 1);
  Overwrite(kErasedTable, kAcme, edited);
  ExpectAcmeAloneIsLeftOut("the erasure");
}

// Somebody had the name before, and a CA: that row opens, and is not the one of who has the name now.
TEST_F(OwnRowsTest, TheCaOfAnEarlierTenantOfTheNamePutBackIsFound) {
  const std::string ca = Raw(kAdmittedTable, kAcme);
  const std::string number = Raw(kTenantTable, kAcme);
  ErasedRow row{.number = NumberOf(kAcme), .erased = absl::Now(), .was = {}, .complete = false};
  ASSERT_TRUE(tenants_->BeginErasing(*tenants_->Known(Tenant(kAcme)), row, "").ok());
  ASSERT_TRUE(ciphers_->DestroyKey(row.number).ok());
  ASSERT_TRUE(tenants_->FinishErasing(Tenant(kAcme), row).ok());
  ASSERT_TRUE(tenants_->Create(Tenant(kAcme), CaOf(kGlobex), nullptr).ok());
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_EQ(NumberOf(kAcme), 3u);
  Overwrite(kAdmittedTable, kAcme, ca);
  ExpectAcmeAloneIsLeftOut("the CA");
  Overwrite(kTenantTable, kAcme, number);  // and its number with it, whose key is gone
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_THAT(Served(), ElementsAre(kGlobex));
}

// Names of which every row is damaged are nobody's any more, and that is all.
TEST_F(OwnRowsTest, ATenantOfWhomNothingOpensDoesNotKeepOthersFromStarting) {
  for (const storage::Table table : kOfNames) Overwrite(table, kAcme, "junk");
  ExpectAcmeAloneIsLeftOut(kAcme);
}

TEST_F(OwnRowsTest, WithoutTheCounterOfNumbersNobodyNewComesAndTheOthersStay) {
  Overwrite(kTenantTable, "next", Raw(kTenantTable, kAcme));
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_THAT(Served(), ElementsAre(kAcme, kGlobex));
  const absl::Status refused = Create(kHooli);
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(kHooli));
  Overwrite(kTenantTable, "next", std::nullopt);  // removed: it begins anew, and passes over what is taken
  ASSERT_TRUE(OpenTenants().ok());
  ASSERT_TRUE(Create(kHooli).ok());
  EXPECT_EQ(NumberOf(kHooli), 3u);
}

TEST_F(OwnRowsTest, AStoreThatWasPutBackGivesNobodyAnothersKey) {
  Close();
  std::filesystem::copy(folder_ + "/store", folder_ + "/backup", std::filesystem::copy_options::recursive);
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Create(kHooli).ok());
  ASSERT_EQ(NumberOf(kHooli), 3u);
  const std::string key = ReadAll(folder_ + "/keys/00000003/keys");
  const auto put_back = [&] {
    Close();
    std::filesystem::remove_all(folder_ + "/store");
    std::filesystem::copy(folder_ + "/backup", folder_ + "/store", std::filesystem::copy_options::recursive);
    return Open();
  };
  ASSERT_TRUE(put_back().ok());
  EXPECT_EQ(NumberOf(kHooli), 0u);
  ASSERT_TRUE(Create("initech.keystead.example").ok());
  EXPECT_EQ(NumberOf("initech.keystead.example"), 4u);
  EXPECT_EQ(ReadAll(folder_ + "/keys/00000003/keys"), key);
  // Nor a number whose key was destroyed: what says that it is another's may be put back too.
  ASSERT_TRUE(ciphers_->DestroyKey(4).ok());
  ASSERT_TRUE(put_back().ok());
  ASSERT_TRUE(Create(kHooli).ok());
  EXPECT_EQ(NumberOf(kHooli), 5u);
}

TEST_F(OwnRowsTest, AnEmptiedStoreBeginsAnewBesideWhatTheKeystoreHas) {
  Close();
  std::filesystem::remove_all(folder_ + "/store");
  ASSERT_TRUE(Open().ok());
  EXPECT_THAT(Served(), IsEmpty());
  ASSERT_TRUE(Create(kGlobex).ok());
  EXPECT_EQ(NumberOf(kGlobex), 3u);
}

TEST_F(OwnRowsTest, ATenantWhoseRevocationsDoNotOpenIsLeftOutAlone) {
  ASSERT_TRUE(store_
                  ->Commit([](storage::Transaction& transaction) {
                    transaction.Put(1, kRevocationTable, kRevocationKey, "revocations");
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_THAT(Served(), ElementsAre(kAcme, kGlobex));
  const auto rows = *disk_->Scan(1, kRevocationTable, {});
  ASSERT_EQ(rows.size(), 1u);
  ASSERT_TRUE(disk_
                  ->Commit([&](storage::Transaction& transaction) {
                    transaction.Put(1, kRevocationTable, rows[0].key, rows[0].value + "x");
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(OpenTenants().ok());
  EXPECT_THAT(Served(), ElementsAre(kGlobex));
}

}  // namespace
}  // namespace keystead::backend::at_rest
