#include "mobile-stub/members.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using ::testing::HasSubstr;
using testing::Home;
using testing::Must;
using ::testing::UnorderedElementsAre;

TEST(MembersTest, AreFoundByIdByItsStartAndByDeviceId) {
  Home home;
  const auto a = home.NewDevice("kitchen"), b = home.NewDevice("cellar");
  home.Pair({a.get(), b.get()});
  const Member member = Must(home.App()->state().LoadMember());
  const MembershipChain& chain = member.chain();
  EXPECT_EQ(Must(FindMember(chain, "kitchen")), a->self());
  EXPECT_EQ(Must(FindMember(chain, b->self().ToHex())), b->self());
  EXPECT_EQ(Must(FindMember(chain, b->self().ToHex().substr(0, 12))), b->self());
  for (const char* name : {"", "kitche", "Kitchen", "zz", "000"}) {
    const auto found = FindMember(chain, name);
    EXPECT_TRUE(absl::IsInvalidArgument(found.status())) << name;
    EXPECT_THAT(std::string(found.status().message()), HasSubstr("kitchen")) << "says whom there is";
  }
  EXPECT_THAT(Writers(chain.roster()), UnorderedElementsAre(a->self(), b->self()));
  EXPECT_EQ(MemberSince(chain, a->self()), 1u);
  EXPECT_EQ(ReadableTopics(chain, member.identity().self, 100).size(), 4u);
  EXPECT_EQ(ReadableTopics(chain, member.identity().self, 3).size(), 3u);
}

}  // namespace
}  // namespace keystead::mobile
