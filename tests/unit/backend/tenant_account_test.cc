#include "backend/tenant_account.h"

#include <gtest/gtest.h>

#include "backend/tenant_view.h"
#include "core/transport/limit_status.h"
#include "keystead/v1/admin.pb.h"
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

TEST_F(TenantAccountTest, WhatASubscriberAsksForIsNoRecord) {
  account_->SetLimits({.records_per_second = 1, .stored_bytes = 1});
  EXPECT_TRUE(account_->Admit({.records = 5, .bytes = 1}).ok());
  EXPECT_EQ(Refused(account_->Admit({.records = 1, .bytes = 1})), "records_per_second");
  EXPECT_TRUE(account_->Admit({}).ok());
  EXPECT_EQ(Refused(account_->Admit({.records = 1, .bytes = 2})), "stored_bytes");
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
