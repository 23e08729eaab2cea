#include "backend/tenant_account.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "backend/tenant_view.h"
#include "core/transport/limit_status.h"
#include "keystead/v1/admin.pb.h"
#include "tests/unit/backend/counting_store.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::backend {
namespace {

Principal Peer(std::string_view name) {
  return Principal::ForTesting(
      *SpiffeId::Of(testing::Tenant(testing::kAcme), Role::kDevice, std::string(name)));
}

class TenantAccountTest : public ::testing::Test {
 protected:
  std::string Refused(const absl::Status& status) { return LimitNameOf(status); }
  template <class T>
  std::string Refused(const absl::StatusOr<T>& result) {
    return LimitNameOf(result.status());
  }

  ManualClock clock_{absl::Now()};
  const std::shared_ptr<TenantAccount> account_ = std::make_shared<TenantAccount>(7, &clock_);
};

TEST_F(TenantAccountTest, WithoutLimitsEverythingIsCounted) {
  const auto first = account_->Enter(Peer("a"), 0);
  const auto second = account_->Enter(Peer("a"), 3);
  const auto third = account_->Enter(Peer("b"), 0);
  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  EXPECT_TRUE(account_->Admit({.records = 64, .bytes = 1 << 20}).ok());
  const TenantUsage usage = account_->Usage();
  EXPECT_EQ(usage.connections, 2u);
  EXPECT_EQ(usage.streams, 3u);
  EXPECT_EQ(usage.subscriptions, 3u);
  EXPECT_EQ(usage.peers_seen, 2u);
  EXPECT_EQ(usage.records_in, 64u);
  EXPECT_EQ(usage.bytes_in, 1u << 20);
}

TEST_F(TenantAccountTest, PlacesAreLimitedByNameAndGivenBack) {
  account_->SetLimits({.streams = 3, .connections = 2, .subscriptions = 4});
  auto a = account_->Enter(Peer("a"), 3);
  auto b = account_->Enter(Peer("b"), 0);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(Refused(account_->Enter(Peer("c"), 0)), "connections");
  EXPECT_EQ(Refused(account_->Enter(Peer("a"), 2)), "subscriptions");
  auto more = account_->Enter(Peer("a"), 1);
  ASSERT_TRUE(more.ok());
  EXPECT_EQ(Refused(account_->Enter(Peer("a"), 0)), "streams");
  more->reset();
  a->reset();
  EXPECT_TRUE(account_->Enter(Peer("c"), 4).ok());
  const TenantUsage usage = account_->Usage();
  EXPECT_EQ(usage.connections, 1u);
  EXPECT_EQ(usage.streams, 1u);
  EXPECT_EQ(usage.subscriptions, 0u);
  EXPECT_EQ(usage.refused,
            (std::map<std::string, uint64_t>{{"connections", 1}, {"subscriptions", 1}, {"streams", 1}}));
}

TEST_F(TenantAccountTest, RatesSayWhenToComeAgain) {
  account_->SetLimits({.records_per_second = 100, .bytes_per_second = 1000});
  EXPECT_TRUE(account_->Admit({.records = 300, .bytes = 10}).ok());
  const absl::Status refused = account_->Admit({.records = 1, .bytes = 1});
  EXPECT_EQ(Refused(refused), "records_per_second");
  EXPECT_EQ(RetryDelayOf(refused), absl::Seconds(2.01));
  clock_.Advance(absl::Seconds(2.5));
  EXPECT_TRUE(account_->Admit({.records = 1, .bytes = 5000}).ok());
  EXPECT_EQ(Refused(account_->Admit({.records = 1, .bytes = 1})), "bytes_per_second");
  EXPECT_EQ(account_->Usage().records_in, 301u);
  account_->SetLimits({});  // counts at once
  EXPECT_TRUE(account_->Admit({.records = 1'000'000, .bytes = 1 << 30}).ok());
}

// Who asks all the time, with large requests, brings the burst, the rate's worth and one request beyond.
TEST_F(TenantAccountTest, OneRequestGoesBeyondTheRateAndTheNextWaitsUntilItIsMadeUpFor) {
  constexpr uint64_t kRate = 100;
  constexpr uint64_t kRequest = 512;
  constexpr uint64_t kTenthsOfSeconds = 600;
  account_->SetLimits({.records_per_second = kRate, .records_burst = kRate});
  uint64_t farthest = 0;  // beyond the burst and the rate
  for (uint64_t tenths = 0; tenths < kTenthsOfSeconds; ++tenths) {
    const absl::Status admitted = account_->Admit({.records = kRequest, .bytes = 1});
    const uint64_t within = kRate + kRate * tenths / 10;
    const uint64_t brought = account_->Usage().records_in;
    if (brought > within) farthest = std::max(farthest, brought - within);
    if (!admitted.ok()) {
      EXPECT_EQ(Refused(admitted), "records_per_second");
      EXPECT_GE(brought, within) << "refused although there was something left";
    }
    clock_.Advance(absl::Milliseconds(100));
  }
  EXPECT_GT(farthest, 0u);
  EXPECT_LT(farthest, kRequest);
}

TEST_F(TenantAccountTest, WhatASubscriberAsksForIsNoRecord) {
  account_->SetLimits({.records_per_second = 1, .stored_bytes = 1});
  EXPECT_TRUE(account_->Admit({.records = 5, .bytes = 1}).ok());
  EXPECT_EQ(Refused(account_->Admit({.records = 1, .bytes = 1})), "records_per_second");
  EXPECT_TRUE(account_->Admit({}).ok());
  EXPECT_EQ(Refused(account_->Admit({.records = 1, .bytes = 2})), "stored_bytes");
}

// Over a store that writes down every look-up.
class StoredUsageTest : public TenantAccountTest {
 protected:
  StoredUsageTest() { EXPECT_TRUE(account_->Load(store_).ok()); }
  static std::unique_ptr<storage::LogStore> OpenStore() {
    storage::Options options;
    options.path = testing::TestPki::Shared().NewFolder() + "/store";
    options.format_name = "test";
    return *storage::LogStore::Open(options);
  }
  std::unique_ptr<storage::Task> Adding(StoredChange change, absl::Status end = absl::OkStatus()) {
    return storage::MakeTask(
        0,
        [this, change, end](storage::Transaction& transaction) {
          const absl::Status added = account_->Add(transaction, change);
          return added.ok() ? end : added;
        },
        [this, change](const absl::Status& status) { account_->Settle(status, change); });
  }
  // In one batch: they wait behind a task that is held.
  void CommitTogether(std::vector<std::unique_ptr<storage::Task>> tasks) {
    absl::Notification held, go_on;
    ASSERT_TRUE(inner_
                    ->Submit(storage::MakeTask(
                        0,
                        [&](storage::Transaction&) {
                          held.Notify();
                          go_on.WaitForNotification();
                          return absl::OkStatus();
                        },
                        [](const absl::Status&) {}))
                    .ok());
    held.WaitForNotification();
    for (auto& task : tasks) ASSERT_TRUE(store_.Submit(std::move(task)).ok());
    go_on.Notify();
    ASSERT_TRUE(inner_->Commit([](storage::Transaction&) { return absl::OkStatus(); }).ok());
  }
  size_t TakeLooks(std::string_view what) {
    const std::string wanted = absl::StrCat(absl::string_view(what.data(), what.size()), " ",
                                            static_cast<int>(kUsageTable), " of 7");
    looks_ = store_.TakeOperations();
    return static_cast<size_t>(std::count(looks_.begin(), looks_.end(), wanted));
  }
  // As the row says, and as the account remembers: the same.
  StoredUsage Stored() {
    const StoredUsage row = DecodeUsage(**inner_->Get(7, kUsageTable, kStoredUsage)).value();
    EXPECT_EQ(account_->stored().groups, row.groups);
    EXPECT_EQ(account_->stored().bytes, row.bytes);
    return row;
  }

  const std::unique_ptr<storage::LogStore> inner_ = OpenStore();
  testing::CountingStore store_{inner_.get()};
  std::vector<std::string> looks_;
};

TEST_F(StoredUsageTest, WhatIsKnownIsNotReadAgain) {
  store_.TakeOperations();
  for (int batch = 1; batch <= 3; ++batch) {
    std::vector<std::unique_ptr<storage::Task>> one;
    one.push_back(Adding({2, 100}));
    CommitTogether(std::move(one));
    EXPECT_EQ(Stored().groups, 2u * batch);
  }
  EXPECT_EQ(TakeLooks("get"), 0u);
  EXPECT_EQ(std::count(looks_.begin(), looks_.end(), "put 21 of 7"), 3);
}

TEST_F(StoredUsageTest, WhatIsTakenBackCountsNeitherInTheBatchNorAfter) {
  std::vector<std::unique_ptr<storage::Task>> tasks;
  tasks.push_back(Adding({1, 10}));
  tasks.push_back(Adding({5, 50}, absl::DataLossError("taken back")));
  tasks.push_back(Adding({1, 10}));
  tasks.push_back(Adding({7, 70}, absl::DataLossError("taken back")));
  CommitTogether(std::move(tasks));
  EXPECT_EQ(Stored().groups, 2u);
  EXPECT_EQ(Stored().bytes, 20u);
  std::vector<std::unique_ptr<storage::Task>> next;
  next.push_back(Adding({5, 50}, absl::DataLossError("taken back")));
  next.push_back(Adding({-1, -10}));
  CommitTogether(std::move(next));
  EXPECT_EQ(Stored().groups, 1u);
  EXPECT_EQ(Stored().bytes, 10u);
}

// What could not be read is read when it is needed.
TEST_F(StoredUsageTest, AnAccountThatKnowsNothingReads) {
  std::vector<std::unique_ptr<storage::Task>> first;
  first.push_back(Adding({3, 30}));
  CommitTogether(std::move(first));
  const auto another = std::make_shared<TenantAccount>(7, &clock_);
  store_.TakeOperations();
  for (int i = 0; i < 2; ++i) {
    const StoredChange change{1, 10};
    ASSERT_TRUE(storage::RunTask(
                    store_,
                    [&](storage::Transaction& transaction) { return another->Add(transaction, change); },
                    [&](const absl::Status& status) { another->Settle(status, change); })
                    .ok());
  }
  EXPECT_EQ(TakeLooks("get"), 1u);
  EXPECT_EQ(another->stored().groups, 5u);
  EXPECT_EQ(DecodeUsage(**inner_->Get(7, kUsageTable, kStoredUsage))->groups, 5u);
}

TEST(LimitsTest, SurviveARowAndAMessage) {
  const TenantLimits all{.records_per_second = 1.5,
                         .records_burst = 2,
                         .bytes_per_second = 3,
                         .bytes_burst = 4,
                         .streams = 5,
                         .connections = 6,
                         .subscriptions = 7,
                         .instantiations = 8,
                         .stored_bytes = 9,
                         .weight = 10,
                         .retention_age = absl::Seconds(11),
                         .retention_bytes = 12};
  EXPECT_EQ(*DecodeLimits(EncodeLimits(all)), all);
  EXPECT_EQ(*DecodeLimits(EncodeLimits({})), TenantLimits());
  EXPECT_TRUE(absl::IsDataLoss(DecodeLimits("\xff").status()));
}

TEST(LimitsTest, RefusesWhatIsNoLimit) {
  for (const double bad :
       {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e13}) {
    v1::TenantLimits rate, weight;
    rate.set_bytes_burst(bad);
    weight.set_weight(bad);
    EXPECT_TRUE(absl::IsInvalidArgument(LimitsFrom(rate).status())) << bad;
    EXPECT_TRUE(absl::IsInvalidArgument(LimitsFrom(weight).status())) << bad;
  }
}

}  // namespace
}  // namespace keystead::backend
