#include "core/transport/authorization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keystead/v1/transport.grpc.pb.h"

namespace keystead {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const google::protobuf::ServiceDescriptor* TransportService() {
  return v1::PublishRequest::descriptor()->file()->FindServiceByName("Transport");
}

TEST(AuthorizationPolicyTest, RefusesWhatHasNoRow) {
  const AuthorizationPolicy policy{{"/a.B/C", RoleSet::Of(Role::kDevice)}, {"/a.B/D", RoleSet()}};
  EXPECT_TRUE(policy.Allows("/a.B/C", Role::kDevice));
  EXPECT_FALSE(policy.Allows("/a.B/C", Role::kApp));
  EXPECT_FALSE(policy.Allows("/a.B/D", Role::kDevice));
  for (const char* method : {"", "/", "/a.B/c", "/a.B/C/", "a.B/C", "/a.B/", "/a.B/CC"}) {
    EXPECT_FALSE(policy.Allows(method, Role::kDevice)) << method;
  }
  EXPECT_TRUE(policy.HasRow("/a.B/D"));
  EXPECT_FALSE(policy.HasRow("/a.B/E"));
  EXPECT_FALSE(AuthorizationPolicy().Allows("/a.B/C", Role::kAdmin));
}

TEST(AuthorizationPolicyTest, NamesTheMethodsWithoutARow) {
  const google::protobuf::ServiceDescriptor* const services[] = {TransportService()};
  ASSERT_NE(services[0], nullptr);
  EXPECT_THAT(MethodsOf(*services[0]),
              ElementsAre("/keystead.v1.Transport/Publish", "/keystead.v1.Transport/Subscribe"));
  const AuthorizationPolicy half{{"/keystead.v1.Transport/Publish", RoleSet()}};
  EXPECT_THAT(half.MethodsWithoutRow(services), ElementsAre("/keystead.v1.Transport/Subscribe"));
  const AuthorizationPolicy whole{{"/keystead.v1.Transport/Publish", RoleSet()},
                                  {"/keystead.v1.Transport/Subscribe", RoleSet()}};
  EXPECT_THAT(whole.MethodsWithoutRow(services), IsEmpty());
  EXPECT_THAT(whole.Methods(),
              ElementsAre("/keystead.v1.Transport/Publish", "/keystead.v1.Transport/Subscribe"));
}

}  // namespace
}  // namespace keystead
