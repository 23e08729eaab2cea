#include "backend/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keystead::backend {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::NotNull;

TEST(PolicyTest, EveryServedRpcHasARow) {
  const auto services = ServedServices();
  for (const auto* service : services) ASSERT_THAT(service, NotNull());
  EXPECT_THAT(MakePolicy().MethodsWithoutRow(services), IsEmpty());
  // The check itself sees a missing row.
  EXPECT_THAT(AuthorizationPolicy{}.MethodsWithoutRow(services), Not(IsEmpty()));
}

TEST(PolicyTest, EveryRowIsOfAServedRpc) {
  std::vector<std::string> served = {std::string(kHealthCheckMethod), std::string(kHealthWatchMethod)};
  for (const auto* service : ServedServices()) {
    for (std::string& method : MethodsOf(*service)) served.push_back(std::move(method));
  }
  EXPECT_THAT(MakePolicy().Methods(), ::testing::UnorderedElementsAreArray(served));
}

TEST(PolicyTest, DevicesDoNotSubmitCommitsAndAdminsTouchNoRecords) {
  const AuthorizationPolicy policy = MakePolicy();
  EXPECT_FALSE(policy.Allows("/keystead.v1.Registry/Submit", Role::kDevice));
  EXPECT_FALSE(policy.Allows("/keystead.v1.Registry/Submit", Role::kThirdParty));
  EXPECT_TRUE(policy.Allows("/keystead.v1.Registry/Submit", Role::kApp));
  EXPECT_FALSE(policy.Allows("/keystead.v1.Transport/Subscribe", Role::kAdmin));
  EXPECT_FALSE(policy.Allows("/keystead.v1.Transport/Publish", Role::kAdmin));
  EXPECT_FALSE(policy.Allows("/keystead.v1.Registry/Fetch", Role::kAdmin));
  EXPECT_FALSE(policy.Allows("/keystead.v1.TenantAdmin/Anything", Role::kAdmin));
}

}  // namespace
}  // namespace keystead::backend
