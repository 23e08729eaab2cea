#include "backend/tenant_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace keystead::backend {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TenantMetricsTest : public ::testing::Test {
 protected:
  static TenantNumbers Tenant(std::string name, uint32_t number, uint64_t records) {
    TenantNumbers out;
    out.name = std::move(name);
    out.number = number;
    out.usage.records_in = records;
    out.usage.stored.bytes = 10;
    return out;
  }
  static std::string Records(std::string_view tenant, uint64_t count) {
    return absl::StrCat("keystead_tenant_records_total{tenant=\"", std::string(tenant), "\"} ", count, "\n");
  }
  TenantMetrics::EachTenant Each() {
    return [this](const TenantMetrics::Visit& visit) {
      for (const TenantNumbers& tenant : tenants_) visit(tenant);
    };
  }
  std::vector<TenantNumbers> tenants_;
};

TEST_F(TenantMetricsTest, EveryTenantHasItsOwnSeriesWhereThereIsRoom) {
  tenants_ = {Tenant("a.example", 1, 7), Tenant("b.example", 2, 0)};
  tenants_[0].usage.refused = {{"streams", 3}};
  tenants_[0].usage.commits = 2;
  tenants_[0].queue.waited = absl::Milliseconds(1500);
  const TenantMetrics metrics(2, Each());
  const std::string text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr(Records("a.example", 7)));
  EXPECT_THAT(text, HasSubstr(Records("b.example", 0)));
  EXPECT_THAT(text, HasSubstr("keystead_tenant_refused_total{tenant=\"a.example\",limit=\"streams\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("keystead_tenant_commits_total{tenant=\"a.example\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("keystead_tenant_queue_wait_seconds_total{tenant=\"a.example\"} 1.5\n"));
  EXPECT_THAT(text, HasSubstr("keystead_tenant_stored_bytes{tenant=\"b.example\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("keystead_tenants 2\n"));
  EXPECT_THAT(text, HasSubstr("keystead_tenants_added_up 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("tenant=\"(others)\"")));
}

TEST_F(TenantMetricsTest, BeyondThePlacesTenantsAreAddedUp) {
  for (uint32_t i = 0; i < 10'000; ++i) tenants_.push_back(Tenant(absl::StrCat("t", i, ".example"), i, 1));
  const TenantMetrics metrics(100, Each());
  const std::string text = RenderMetrics();
  size_t series = 0;
  for (size_t at = 0; (at = text.find("\nkeystead_tenant_records_total{", at)) != std::string::npos; ++at)
    ++series;
  EXPECT_EQ(series, 101u);
  EXPECT_THAT(text, HasSubstr(Records("(others)", 9900)));
  EXPECT_THAT(text, HasSubstr("keystead_tenant_stored_bytes{tenant=\"(others)\"} 99000\n"));
  EXPECT_THAT(text, HasSubstr("keystead_tenants_added_up 9900\n"));
  EXPECT_LT(text.size(), 500'000u);
}

TEST_F(TenantMetricsTest, PlacesGoToWhoDoesSomethingFirst) {
  tenants_ = {Tenant("idle-1.example", 1, 0), Tenant("idle-2.example", 2, 0), Tenant("busy.example", 3, 5)};
  const TenantMetrics metrics(2, Each());
  EXPECT_THAT(RenderMetrics(), HasSubstr(Records("busy.example", 5)));
  EXPECT_THAT(RenderMetrics(), HasSubstr(Records("(others)", 0)));
  tenants_[1].usage.records_in = 4;
  EXPECT_THAT(RenderMetrics(), HasSubstr(Records("idle-2.example", 4)));
  tenants_[0].usage.records_in = 9;
  const std::string text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr(Records("(others)", 9)));
  EXPECT_THAT(text, Not(HasSubstr("idle-1.example")));
}

TEST_F(TenantMetricsTest, NoSumGoesBackWhenATenantIsErased) {
  tenants_ = {Tenant("a.example", 1, 10), Tenant("b.example", 2, 20), Tenant("c.example", 3, 30)};
  const TenantMetrics metrics(1, Each());
  EXPECT_THAT(RenderMetrics(), HasSubstr(Records("(others)", 50)));
  tenants_.erase(tenants_.begin() + 1);  // b
  EXPECT_THAT(RenderMetrics(), HasSubstr(Records("(others)", 50)));
  tenants_.erase(tenants_.begin());  // a gives its place up; c stays where its numbers stand
  std::string text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr(Records("(others)", 50)));
  EXPECT_THAT(text, Not(HasSubstr("a.example")));
  tenants_.push_back(Tenant("a.example", 4, 1));  // created anew, with a number of its own
  text = RenderMetrics();
  EXPECT_THAT(text, HasSubstr(Records("a.example", 1)));
  EXPECT_THAT(text, HasSubstr(Records("(others)", 50)));
}

TEST_F(TenantMetricsTest, WhatIsGivenBackDoesNotLookLikeARestart) {
  tenants_ = {Tenant("a.example", 1, 10)};
  const TenantMetrics metrics(1, Each());
  EXPECT_THAT(RenderMetrics(), HasSubstr(Records("a.example", 10)));
  tenants_[0].usage.records_in = 8;
  EXPECT_THAT(RenderMetrics(), HasSubstr(Records("a.example", 10)));
  tenants_[0].usage.records_in = 11;
  EXPECT_THAT(RenderMetrics(), HasSubstr(Records("a.example", 11)));
}

}  // namespace
}  // namespace keystead::backend
