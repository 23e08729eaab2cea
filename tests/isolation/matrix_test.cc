// Every cell of the attack matrix against a real backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "backend/policy.h"
#include "tests/isolation/matrix.h"

namespace keystead::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// A new RPC needs rows in the policy and here before anything else is asked.
TEST(MatrixTest, EveryServedRpcHasItsObjects) {
  std::set<std::string> aimed_at;
  for (const auto& [method, kinds] : Targets()) {
    EXPECT_THAT(kinds, Not(IsEmpty())) << method;
    aimed_at.insert(method);
  }
  for (const std::string& method : ServedMethods())
    EXPECT_EQ(aimed_at.erase(method), 1u) << method << " has no objects: add a row to Targets()";
  EXPECT_THAT(aimed_at, IsEmpty()) << "not served";
  EXPECT_THAT(backend::MakePolicy().Methods(), SizeIs(ServedMethods().size()));
}

TEST(MatrixTest, EveryCellHolds) {
  Provider provider;
  const std::string revoked[kTenants] = {provider.RevocationsOf(0), provider.RevocationsOf(1)};
  std::set<std::string> observed;
  std::map<std::pair<std::string, Role>, std::set<grpc::StatusCode>> answers;
  RunCells(provider, AllCells(), [&](const Finding& finding) {
    EXPECT_TRUE(finding.wrong.empty()) << finding.cell.Name() << ": " << absl::StrJoin(finding.wrong, "; ");
    EXPECT_TRUE(observed.insert(finding.cell.Name()).second) << finding.cell.Name() << " came twice";
    if (finding.cell.standing != Standing::kForger && !finding.cell.IsFalseOperator())
      answers[{finding.cell.method, finding.cell.role}].insert(finding.code);
  });
  EXPECT_EQ(observed.size(), ExpectedCells());
  for (size_t tenant = 0; tenant < kTenants; ++tenant)
    EXPECT_EQ(provider.RevocationsOf(tenant), revoked[tenant]);
  RecordProperty("cells", static_cast<int>(observed.size()));

  // The policy table against what was answered: every denial was met by a real call, every grant got further.
  const AuthorizationPolicy policy = backend::MakePolicy();
  for (const std::string& method : ServedMethods()) {
    for (const Role role : AllRoles()) {
      const auto& codes = answers[{method, role}];
      ASSERT_THAT(codes, Not(IsEmpty())) << method << " was never called as " << RoleName(role);
      if (policy.Allows(method, role)) {
        EXPECT_FALSE(codes.contains(grpc::StatusCode::PERMISSION_DENIED)) << method << " " << RoleName(role);
      } else {
        EXPECT_THAT(codes, ::testing::ElementsAre(grpc::StatusCode::PERMISSION_DENIED))
            << method << " " << RoleName(role);
      }
    }
  }
}

}  // namespace
}  // namespace keystead::testing
