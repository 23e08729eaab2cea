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
  Topic BulbTelemetry() const { return Topic::Of(TopicKind::kTelemetry, bulb_.entry.member); }
  // A home whose console has an hour's term and reads; another home takes its place in memory, and the term
  // passes.
  std::unique_ptr<OpenSubscription> ReadBeyondTerm(Home& home) {
    console_.entry.expires_at = absl::ToUnixSeconds(clock_.Now() + absl::Hours(1));
    Furnish(home);
    auto open = Console().Subscribe(home, {BulbTelemetry()});
    EXPECT_TRUE(open->CaughtUp());
    Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
    Commit(other);
    clock_.Advance(absl::Hours(2));
    return open;
  }
  // Tries until the chain, which is loaded behind, is there.
  grpc::Status FetchOnceLoaded(Home& home, std::vector<std::string>* bundles) {
    EXPECT_EQ(Phone().Fetch(home, 0, bundles).error_code(), grpc::StatusCode::UNAVAILABLE);
    grpc::Status status;
    for (int tries = 0; tries < 10000; ++tries) {
      status = Phone().Fetch(home, 0, bundles);
      if (status.error_code() != grpc::StatusCode::UNAVAILABLE) break;
    }
    return status;
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
  const grpc::Status status = FetchOnceLoaded(home, &bundles);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(bundles.size(), 6u);
  EXPECT_EQ(Stranger().FetchFrom(kAcme, home.id()).error_code(), grpc::StatusCode::NOT_FOUND);
  Commit(home);
  ASSERT_TRUE(Phone().Fetch(home, 6, &bundles).ok());
  EXPECT_EQ(bundles.size(), 1u);
}

// Open calls of those who may not read any more end, whether the roster is in memory or not.
TEST_F(InstantiationsTest, OpenCallsOfARemovedGatewayEndWithoutTheRosterInMemory) {
  UseLimits(1, 16);
  Home home(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Furnish(home);
  const Topic telemetry = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
  const auto hall = Hall().Subscribe(home, {telemetry});
  ASSERT_TRUE(hall->CaughtUp());
  Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Commit(other);  // takes the place in memory
  Commit(home, {}, {hall_.entry.member});
  EXPECT_NE(hall->End().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Hall().Subscribe(home, {telemetry})->End().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(InstantiationsTest, OpenCallsOfAnEvictedDeviceEndWithoutTheRosterInMemory) {
  UseLimits(1, 16);
  Home home(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Furnish(home);
  const auto command = Topic::Of(TopicKind::kCommand, bulb_.entry.member);
  const auto bulb = Bulb().Subscribe(home, {command});
  const auto hall = Hall().Subscribe(home, {command});
  ASSERT_TRUE(bulb->CaughtUp());
  ASSERT_TRUE(hall->CaughtUp());
  Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Commit(other);
  const Resident moved = AfterReset(bulb_);
  Commit(other, {&moved});
  EXPECT_EQ(bulb->End().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(hall->End().error_code(), grpc::StatusCode::UNAVAILABLE);  // comes back and meets the roster
  EXPECT_TRUE(Hall().Subscribe(home, {command})->CaughtUp());
  EXPECT_EQ(Bulb().Subscribe(home, {command})->End().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(InstantiationsTest, ATermEndsOpenCallsAlsoWhenTheChainIsNotInMemory) {
  UseLimits(1, 0);  // no chain is loaded on the writer's thread
  Home home(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const auto open = ReadBeyondTerm(home);
  EXPECT_EQ(open->End().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(InstantiationsTest, ATermIsNotForgottenWhenTheChainIsLoadedAgainAfterIt) {
  UseLimits(1, 16);
  options_.tick = absl::Hours(1);  // nobody looks before the chain is back
  Restart();
  Home home(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const auto open = ReadBeyondTerm(home);
  ASSERT_TRUE(Phone().Subscribe(home, {BulbTelemetry()})->CaughtUp());  // loads it
  backend_->Tick();
  EXPECT_EQ(open->End().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(InstantiationsTest, AChainWithManyMembersIsLoadedBehind) {
  options_.instantiations.max_bytes_on_writer = 2000;
  UseLimits(16, 16);
  Home home(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Furnish(home);
  Restart();
  std::vector<std::string> bundles;
  const grpc::Status status = FetchOnceLoaded(home, &bundles);
  EXPECT_TRUE(status.ok()) << status.error_message();
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
