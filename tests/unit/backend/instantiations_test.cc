// Chains that come and go in memory.
#include <gmock/gmock.h>

#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

class InstantiationsTest : public BackendTest {
 protected:
  void UseLimits(size_t in_memory, uint64_t commits_on_writer) {
    options_.instantiations.max_in_memory = in_memory;
    options_.instantiations.max_commits_on_writer = commits_on_writer;
    Restart();
  }
};

TEST_F(InstantiationsTest, ManyHomesShareALittleMemory) {
  UseLimits(2, 16);
  std::vector<std::unique_ptr<Home>> homes;
  for (int i = 0; i < 5; ++i) {
    homes.push_back(std::make_unique<Home>(kAcme, Uri(kAcme, Role::kApp, "phone")));
    Commit(*homes.back());
    Commit(*homes.back());
  }
  for (int round = 0; round < 2; ++round) {
    for (const auto& home : homes) {
      const Topic command = Topic::Of(TopicKind::kCommand, home->owner());
      EXPECT_TRUE(Phone().Publish(Group(*home, home->owner(), command, 1, NewStream(), 0)).refusals.empty());
      EXPECT_EQ(Stranger().FetchFrom(kAcme, home->id()).error_code(), grpc::StatusCode::NOT_FOUND);
    }
  }
  Commit(*homes[0]);
  std::vector<std::string> bundles;
  ASSERT_TRUE(Phone().Fetch(*homes[0], 0, &bundles).ok());
  EXPECT_EQ(bundles.size(), 3u);
}

TEST_F(InstantiationsTest, LongChainsAreLoadedBehindAndThenServed) {
  UseLimits(16, 2);
  Home home(kAcme, Uri(kAcme, Role::kApp, "phone"));
  for (int i = 0; i < 6; ++i) Commit(home);
  Restart();
  std::vector<std::string> bundles;
  EXPECT_EQ(Phone().Fetch(home, 0, &bundles).error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::Status status;
  for (int tries = 0; tries < 10000; ++tries) {
    status = Phone().Fetch(home, 0, &bundles);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) break;
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(bundles.size(), 6u);
  EXPECT_EQ(Stranger().FetchFrom(kAcme, home.id()).error_code(), grpc::StatusCode::NOT_FOUND);
  Commit(home);
  ASSERT_TRUE(Phone().Fetch(home, 6, &bundles).ok());
  EXPECT_EQ(bundles.size(), 1u);
}

TEST_F(InstantiationsTest, ACommitNeedsNoChainInMemory) {
  UseLimits(16, 2);
  Home home(kAcme, Uri(kAcme, Role::kApp, "phone"));
  for (int i = 0; i < 6; ++i) Commit(home);
  Restart();
  Commit(home);
  EXPECT_EQ(Phone().Submit(home, home.Make()).error_code(), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace keystead::testing
