#include "core/identity/spiffe_id.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::Id;
using testing::Tenant;

TEST(SpiffeIdTest, ParsesEveryRoleAndGivesTheSameTextBack) {
  for (const char* role : {"device", "gateway", "app", "thirdparty", "service", "admin"}) {
    const std::string uri = std::string("spiffe://acme.keystead.example/") + role + "/Hall_1.a-b";
    const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(uri);
    ASSERT_TRUE(id.ok()) << id.status();
    EXPECT_EQ(id->tenant().str(), "acme.keystead.example");
    EXPECT_EQ(RoleName(id->role()), role);
    EXPECT_EQ(id->id(), "Hall_1.a-b");
    EXPECT_EQ(id->str(), uri);
  }
}

TEST(SpiffeIdTest, RefusesWhatIsNotExactlyOurs) {
  const std::string long_id(kMaxIdentityBytes + 1, 'a');
  for (const std::string& uri : {std::string(),
                                 std::string("spiffe://"),
                                 std::string("https://a.example/device/x"),
                                 std::string("SPIFFE://a.example/device/x"),
                                 std::string("spiffe://a.example"),
                                 std::string("spiffe://a.example/device"),
                                 std::string("spiffe://a.example/device/"),
                                 std::string("spiffe://a.example/device/x/"),
                                 std::string("spiffe://a.example/device/x/y"),
                                 std::string("spiffe://a.example//x"),
                                 std::string("spiffe:///device/x"),
                                 std::string("spiffe://A.example/device/x"),
                                 std::string("spiffe://a.example:80/device/x"),
                                 std::string("spiffe://u@a.example/device/x"),
                                 std::string("spiffe://a.example/Device/x"),
                                 std::string("spiffe://a.example/root/x"),
                                 std::string("spiffe://a.example/device/x?y"),
                                 std::string("spiffe://a.example/device/x#y"),
                                 std::string("spiffe://a.example/device/%41"),
                                 std::string("spiffe://a.example/device/."),
                                 std::string("spiffe://a.example/device/.."),
                                 std::string("spiffe://a.example/device/*"),
                                 "spiffe://a.example/device/" + long_id,
                                 std::string("spiffe://a.example/device/x\0", 28),
                                 std::string(" spiffe://a.example/device/x")}) {
    EXPECT_EQ(SpiffeId::Parse(uri).status().code(), absl::StatusCode::kInvalidArgument) << uri;
  }
}

TEST(SpiffeIdTest, NeedsATenant) {
  EXPECT_FALSE(SpiffeId::Of(TenantName(), Role::kApp, "x").ok());
  EXPECT_TRUE(SpiffeId::Of(Tenant("a.example"), Role::kApp, "x").ok());
}

TEST(RoleSetTest, HoldsWhatItWasGiven) {
  constexpr RoleSet set = RoleSet::Of(Role::kDevice, Role::kAdmin);
  EXPECT_TRUE(set.contains(Role::kDevice));
  EXPECT_TRUE(set.contains(Role::kAdmin));
  EXPECT_FALSE(set.contains(Role::kGateway));
  EXPECT_FALSE(RoleSet().contains(Role::kDevice));
  EXPECT_TRUE(RoleSet::Operational().contains(Role::kThirdParty));
}

TEST(PeerExpectationTest, MatchesOneIdOrAnyOfARole) {
  const PeerExpectation one = *PeerExpectation::Parse("spiffe://a.example/service/backend");
  EXPECT_TRUE(one.Matches(Id("spiffe://a.example/service/backend")));
  EXPECT_FALSE(one.Matches(Id("spiffe://a.example/service/backend2")));
  EXPECT_FALSE(one.Matches(Id("spiffe://a.example/device/backend")));
  EXPECT_FALSE(one.Matches(Id("spiffe://b.example/service/backend")));
  const PeerExpectation any = *PeerExpectation::Parse("spiffe://a.example/gateway/*");
  EXPECT_TRUE(any.Matches(Id("spiffe://a.example/gateway/hall")));
  EXPECT_FALSE(any.Matches(Id("spiffe://a.example/device/hall")));
  EXPECT_FALSE(any.Matches(Id("spiffe://b.example/gateway/hall")));
  EXPECT_EQ(any.str(), "spiffe://a.example/gateway/*");
}

TEST(PeerExpectationTest, MatchesNobodyUnlessSet) {
  EXPECT_FALSE(PeerExpectation().Matches(SpiffeId()));
  EXPECT_FALSE(PeerExpectation::Parse("spiffe://*/gateway/hall").ok());
  EXPECT_FALSE(PeerExpectation::Parse("spiffe://a.example/*/hall").ok());
  EXPECT_FALSE(PeerExpectation::Parse("spiffe://a.example/gateway/").ok());
}

}  // namespace
}  // namespace keystead
