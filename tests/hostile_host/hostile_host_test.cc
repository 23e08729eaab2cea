// What a host does to a store is accounted for record by record, and what of it who notices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "backend/at_rest/encrypted_store.h"
#include "tests/hostile_host/folder_copy.h"
#include "tests/hostile_host/manipulate.h"
#include "tests/isolation/household.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::hostile_host {
namespace {

using nlohmann::json;
using testing::Household;

constexpr uint32_t kTenant = 3;
constexpr uint32_t kOther = 4;
constexpr storage::LogRef kLog{kTenant, 5};
constexpr storage::LogRef kOtherLog{kOther, 5};
constexpr uint64_t kGroups = 60;

class HostileHostTest : public ::testing::Test {
 protected:
  HostileHostTest() {
    keys_ = *backend::at_rest::FileKeyStore::Open(keystore_);
    EXPECT_TRUE(keys_->Create(kTenant).ok() && keys_->Create(kOther).ok());
    Run();
    for (uint64_t n = 0; n < kGroups; ++n) {
      Append(kLog, home_.groups()[n % 2].group);
      Append(kOtherLog, other_.groups()[n % 2].group);
    }
    Stop();
  }
  ~HostileHostTest() override { Stop(); }

  // What the backend does when it starts, below its services.
  void Run() {
    storage::Options options;
    options.path = store_;
    options.format_name = "test";
    disk_ = *storage::LogStore::Open(options);
    ciphers_ = std::make_unique<backend::at_rest::Ciphers>(keys_.get());
    backend_ = std::make_unique<backend::at_rest::EncryptedStore>(disk_.get(), ciphers_.get());
  }
  void Stop() {
    disk_.reset();
    backend_.reset();
    ciphers_.reset();
  }
  void Append(storage::LogRef log, const std::string& group) {
    ASSERT_TRUE(backend_
                    ->Commit([&](storage::Transaction& transaction) {
                      return transaction.Append(log, std::make_shared<const std::string>(group)).status();
                    })
                    .ok());
  }
  absl::StatusOr<std::string> ServedAt(storage::LogRef log, uint64_t offset) {
    auto entries = backend_->Read(log, offset, 1);
    if (!entries.ok()) return entries.status();
    return *entries->front().bytes;
  }
  std::vector<json> Done(const Order& order, const std::string& keystore) {
    const auto store = ProviderStore::Open(store_, keystore, Access::kEdit);
    EXPECT_TRUE(store.ok()) << store.status();
    const auto lines = Do(**store, order, random_);
    EXPECT_TRUE(lines.ok()) << lines.status();
    std::vector<json> out;
    for (const std::string& line : lines.value_or(std::vector<std::string>()))
      out.push_back(json::parse(line));
    return out;
  }

  const std::string folder_ = testing::TestPki::Shared().NewFolder();
  const std::string store_ = folder_ + "/store";
  const std::string keystore_ = folder_ + "/keys";
  const Household home_{testing::Tenant(testing::kAcme), "home"};
  const Household other_{testing::Tenant(testing::kGlobex), "other"};
  SeededRandom random_{7};
  std::unique_ptr<backend::at_rest::FileKeyStore> keys_;
  std::unique_ptr<storage::LogStore> disk_;
  std::unique_ptr<backend::at_rest::Ciphers> ciphers_;
  std::unique_ptr<backend::at_rest::EncryptedStore> backend_;
};

TEST_F(HostileHostTest, WithTheKeystoreAHostSeesWhereEachRecordStandsAndWithoutItOnlyNumbers) {
  for (const bool with_keys : {true, false}) {
    const auto store = ProviderStore::Open(store_, with_keys ? keystore_ : "", Access::kLook);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto groups = (*store)->Groups();
    ASSERT_TRUE(groups.ok());
    ASSERT_EQ(groups->size(), 2 * kGroups);
    const auto lines = Describe(groups->front());
    const json line = json::parse(lines.front());
    EXPECT_EQ(lines.size(), with_keys ? 3u : 1u);
    EXPECT_EQ(line.value("instantiation", ""), with_keys ? ToHex(home_.id().view()) : "");
    EXPECT_EQ(line.at("opens_at_rest"), with_keys);
  }
}

TEST_F(HostileHostTest, ARunningStoreIsReadAndNotEdited) {
  Run();
  const auto looked = ProviderStore::Open(store_, keystore_, Access::kLook);
  ASSERT_TRUE(looked.ok()) << looked.status();
  EXPECT_EQ((*looked)->Groups()->size(), 2 * kGroups);
  EXPECT_EQ(ProviderStore::Open(store_, keystore_, Access::kEdit).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(HostileHostTest, EveryEditedRecordIsServedAsItIsAndOpensForNoMember) {
  std::set<std::string> placed;
  for (uint64_t n = 0; n < kGroups; ++n) {
    const char* const regions[] = {"cose_ciphertext", "cose_tag", "cose_partial_iv", "cose_kid",
                                   "cose_protected"};
    const auto done = Done({Deed::kEdit, regions[n % 5], {{kLog, n}, 1}, {}}, keystore_);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_NE(done[0]["sha256_before"], done[0]["sha256_after"]);
    EXPECT_EQ(done[0]["sequence"], 1);
    placed.insert(done[0]["stream"].get<std::string>() + std::to_string(n));
  }
  EXPECT_EQ(placed.size(), kGroups);
  Run();
  for (uint64_t n = 0; n < kGroups; ++n) {
    const auto served = ServedAt(kLog, n);
    ASSERT_TRUE(served.ok()) << served.status();
    EXPECT_EQ(home_.Opened(Role::kApp, *served).size(), 2u) << "of three records at offset " << n;
    EXPECT_EQ(home_.Opened(Role::kApp, home_.groups()[n % 2].group).size(), 3u);
  }
}

TEST_F(HostileHostTest, RecordsSwappedBetweenTenantsOpenForNobodyOfEither) {
  const auto done = Done({Deed::kSwap, "", {{kLog, 0}, 1}, {{kOtherLog, 0}, 1}}, keystore_);
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0]["sha256_before"], done[1]["sha256_after"]);
  EXPECT_EQ(done[0]["tenant_name"], testing::kAcme);
  EXPECT_EQ(done[1]["tenant_name"], testing::kGlobex);
  Run();
  EXPECT_EQ(home_.Opened(Role::kApp, *ServedAt(kLog, 0)).size(), 2u);
  EXPECT_EQ(other_.Opened(Role::kApp, *ServedAt(kOtherLog, 0)).size(), 2u);
}

TEST_F(HostileHostTest, ADeletedGroupLeavesNoHoleAndAllItsRecordsAreCounted) {
  const auto done = Done({Deed::kDelete, "", {{kLog, 4}, 0}, {{kLog, 3}, 0}}, keystore_);
  ASSERT_EQ(done.size(), 3u);
  EXPECT_EQ(done[2]["sequence"], 2);
  EXPECT_EQ(done[2]["sha256_after"], "");
  Run();
  EXPECT_EQ(*ServedAt(kLog, 4), home_.groups()[1].group);
}

TEST_F(HostileHostTest, WhatAHostWithoutTheKeystoreDoesTheBackendRefusesEachTime) {
  for (uint64_t n = 0; n < kGroups; ++n) {
    Order order{n % 3 == 0   ? Deed::kDamage
                : n % 3 == 1 ? Deed::kMove
                             : Deed::kRemove,
                "",
                {{kLog, n}, 0},
                {{kOtherLog, n}, 0}};
    EXPECT_EQ(Done(order, "").size(), order.deed == Deed::kMove ? 2u : 1u);
  }
  Run();
  // The last that was removed is the log's end. What came from another tenant lies under no key of this one.
  for (uint64_t n = 0; n < kGroups - 1; ++n) {
    EXPECT_EQ(ServedAt(kLog, n).status().code(), absl::StatusCode::kDataLoss) << "offset " << n;
  }
  for (uint64_t n = 0; n < kGroups; ++n) EXPECT_EQ(ServedAt(kOtherLog, n).ok(), n % 3 != 1) << "offset " << n;
}

TEST_F(HostileHostTest, ACopyPutBackIsWhatTheStoreWas) {
  const std::string copy = folder_ + "/copy";
  ASSERT_TRUE(CopyFolder(store_, copy).ok());
  EXPECT_EQ(CopyFolder(store_, copy).code(), absl::StatusCode::kAlreadyExists);
  Run();
  Append(kLog, home_.groups()[0].group);
  Stop();
  ASSERT_TRUE(ReplaceFolder(copy, store_).ok());
  Run();
  EXPECT_EQ(backend_->GetBounds(kLog)->end, kGroups);
}

TEST_F(HostileHostTest, AnOrderThatDoesNotFitChangesNothing) {
  const auto store = ProviderStore::Open(store_, keystore_, Access::kEdit);
  const std::string before = (*store)->Read({kLog, 0})->stored;
  const Order wrong[] = {{Deed::kEdit, "cose_tag", {{kLog, 0}, 9}, {}},
                         {Deed::kEdit, "no_region", {{kLog, 0}, 1}, {}},
                         {Deed::kSwap, "", {{kLog, 0}, 1}, {{kLog, 0}, 2}},
                         {Deed::kDelete, "", {{kLog, 0}, 0}, {{kOtherLog, 0}, 0}}};
  for (const Order& order : wrong)
    EXPECT_EQ(Do(**store, order, random_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Do(**store, {Deed::kEdit, "cose_tag", {{kLog, 999}, 1}, {}}, random_).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ((*store)->Read({kLog, 0})->stored, before);
  EXPECT_EQ(DeedOf("improve").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace keystead::hostile_host
