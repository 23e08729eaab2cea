// Commits over real sockets: their order, their durability, who may read them.
#include <gmock/gmock.h>

#include <thread>

#include "core/cose/cose_key.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RegistryTest : public BackendTest {
 protected:
  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  std::vector<std::string> bundles_;
};

TEST_F(RegistryTest, CreatesAnInstantiationAndServesItsChain) {
  const std::string first = home_.Make();
  v1::SubmitCommitResponse response;
  ASSERT_TRUE(Phone().Submit(home_, first, &response).ok());
  home_.Take(first);
  EXPECT_EQ(response.epoch(), 0u);
  EXPECT_EQ(response.head(), home_.chain().head().hash.ToString());
  const std::string second = home_.Make({&bulb_, &hall_});
  ASSERT_TRUE(Phone().Submit(home_, second, &response).ok());
  EXPECT_EQ(response.epoch(), 1u);

  ASSERT_TRUE(Bulb().Fetch(home_, 0, &bundles_).ok());
  EXPECT_THAT(bundles_, ElementsAre(first, second));
  ASSERT_TRUE(Hall().Fetch(home_, 1, &bundles_).ok());
  EXPECT_THAT(bundles_, ElementsAre(second));
  ASSERT_TRUE(Phone().Fetch(home_, 2, &bundles_).ok());
  EXPECT_THAT(bundles_, IsEmpty());
}

TEST_F(RegistryTest, CommitsStandInKeyringAsTheyWereSubmitted) {
  const std::string first = home_.Make();
  ASSERT_TRUE(Phone().Submit(home_, first).ok());
  home_.Take(first);
  const auto subscription = Phone().Subscribe(home_, {Topic::Keyring()});
  const auto group = subscription->Next();
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(*group, Group(home_, home_.owner(), Topic::Keyring(), 0, StreamId(), 0, first));
  const std::string second = home_.Make({&bulb_});
  ASSERT_TRUE(Phone().Submit(home_, second).ok());
  EXPECT_EQ(subscription->Next(), Group(home_, home_.owner(), Topic::Keyring(), 1, StreamId(), 0, second));
}

// Both are verified side by side, so that only the writer's order can decide; many rounds, because one may
// pass by luck.
TEST_F(RegistryTest, OfTwoCommitsWithOneParentOneWins) {
  Commit(home_);
  Peer* const peers[2] = {&Phone(), &Balancer()};
  for (uint64_t round = 1; round <= 40; ++round) {
    const std::string made[2] = {home_.Make(), home_.Make()};
    grpc::Status statuses[2];
    std::thread racer([&] { statuses[0] = peers[0]->Submit(home_, made[0]); });
    statuses[1] = peers[1]->Submit(home_, made[1]);
    racer.join();
    ASSERT_NE(statuses[0].ok(), statuses[1].ok()) << round;
    const int winner = statuses[0].ok() ? 0 : 1;
    ASSERT_EQ(statuses[1 - winner].error_code(), grpc::StatusCode::ABORTED);
    ASSERT_TRUE(Phone().Fetch(home_, round, &bundles_).ok());
    ASSERT_THAT(bundles_, ElementsAre(made[winner]));
    home_.Take(made[winner]);
  }
}

TEST_F(RegistryTest, LaterCommitWithTheSameParentIsAForkAndReported) {
  Commit(home_);
  const std::string one = home_.Make({&bulb_});
  const std::string other = home_.Make({&hall_});
  ASSERT_TRUE(Phone().Submit(home_, one).ok());
  EXPECT_EQ(Phone().Submit(home_, other).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Events(SecurityEventKind::kFork), 1u);
}

TEST_F(RegistryTest, TheSameBytesAgainGetTheSameAnswer) {
  const std::string first = home_.Make();
  v1::SubmitCommitResponse before;
  ASSERT_TRUE(Phone().Submit(home_, first, &before).ok());
  home_.Take(first);
  Commit(home_, {&bulb_});
  for (int round = 0; round < 2; ++round) {
    v1::SubmitCommitResponse again;
    ASSERT_TRUE(Phone().Submit(home_, first, &again).ok());
    EXPECT_EQ(again.epoch(), before.epoch());
    EXPECT_EQ(again.head(), before.head());
    Restart();
  }
  ASSERT_TRUE(Phone().Fetch(home_, 0, &bundles_).ok());
  EXPECT_EQ(bundles_.size(), 2u);
}

TEST_F(RegistryTest, ChangedBundlesAreRefused) {
  const std::string good = home_.Make();
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_EQ(Phone().Submit(home_, bad).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << at;
  }
  EXPECT_EQ(Phone().Submit(home_, good.substr(0, good.size() - 1)).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Phone().Submit(home_, good + '\0').error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Phone().Submit(home_, "").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Phone().Submit(home_, std::string(limits::kMaxCommitBytes + 1, 'x')).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_GT(Events(SecurityEventKind::kCommitRefused), 0u);
  EXPECT_TRUE(Phone().Submit(home_, good).ok());
}

TEST_F(RegistryTest, AStrangersCommitSaysNothingAboutWhatExists) {
  Commit(home_);
  Home other(kAcme, Uri(kAcme, Role::kApp, "stranger"));
  other.Take(other.Make());
  const std::string foreign = other.Make({&bulb_});  // properly signed, of another home
  Home absent(kAcme, Uri(kAcme, Role::kApp, "stranger"));
  const grpc::Status known = Stranger().Submit(home_, foreign);
  const grpc::Status unknown = Stranger().Submit(absent, foreign);
  EXPECT_EQ(known.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(unknown.error_code(), known.error_code());
  EXPECT_EQ(unknown.error_message(), known.error_message());
}

TEST_F(RegistryTest, ForeignTenantUnknownAndNotAMemberGetOneAnswer) {
  Furnish(home_);
  const Home absent(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const std::vector<grpc::Status> answers = {
      Spy().FetchFrom(kAcme, home_.id()),      Spy().FetchFrom(kAcme, absent.id()),
      Spy().FetchFrom(kGlobex, home_.id()),    Spy().FetchFrom("none.keystead.example", home_.id()),
      Stranger().FetchFrom(kAcme, home_.id()), Stranger().FetchFrom(kAcme, absent.id()),
      Balancer().FetchFrom(kAcme, home_.id()), Spy().Submit(home_, home_.Make()),
  };
  for (const grpc::Status& answer : answers) {
    EXPECT_EQ(answer.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(answer.error_message(), answers[0].error_message());
  }
}

TEST_F(RegistryTest, DevicesMayNotSubmit) {
  EXPECT_EQ(Bulb().Submit(home_, home_.Make()).error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(RegistryTest, RestartKeepsChainsRosterAndDevices) {
  Furnish(home_);
  Restart();
  ASSERT_TRUE(Bulb().Fetch(home_, 0, &bundles_).ok());
  EXPECT_EQ(bundles_.size(), 2u);
  const Topic telemetry = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
  EXPECT_TRUE(Bulb().Publish(Group(home_, bulb_.entry.member, telemetry, 1, NewStream(), 0)).status.ok());
  // The register of devices is there too: a second home with the same reset counter is refused.
  Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Commit(other);
  EXPECT_EQ(Phone().Submit(other, other.Make({&bulb_})).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  Commit(home_, {}, {hall_.entry.member});
  EXPECT_EQ(Hall().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(RegistryTest, HigherResetCounterMovesADeviceAndEvictsIt) {
  Furnish(home_);
  const Topic before = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
  const StreamId stream = NewStream();
  const auto publish = [&](uint64_t sequence) {
    return Bulb().Publish(Group(home_, bulb_.entry.member, before, 1, stream, sequence));
  };
  ASSERT_TRUE(publish(0).refusals.empty());
  const auto open = Bulb().Subscribe(home_, {Topic::Of(TopicKind::kCommand, bulb_.entry.member)});
  ASSERT_TRUE(open->CaughtUp());

  Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Commit(other);
  const Resident moved = AfterReset(bulb_);
  Commit(other, {&moved});
  EXPECT_EQ(open->End().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(publish(1).code(), grpc::StatusCode::PERMISSION_DENIED);
  // Nor through a courier of the home it left, nor after a restart.
  EXPECT_EQ(Hall().Publish(Group(home_, bulb_.entry.member, before, 1, stream, 1)).code(),
            grpc::StatusCode::PERMISSION_DENIED);
  Restart();
  EXPECT_EQ(publish(1).code(), grpc::StatusCode::PERMISSION_DENIED);
  const Topic after = Topic::Of(TopicKind::kTelemetry, moved.entry.member);
  EXPECT_TRUE(Bulb().Publish(Group(other, moved.entry.member, after, 1, NewStream(), 0)).refusals.empty());

  // The first home cannot have it back with what it has, only after one more reset.
  Home third(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Commit(third);
  EXPECT_EQ(Phone().Submit(third, third.Make({&bulb_})).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  const Resident back = AfterReset(moved);
  Commit(home_, {&back}, {bulb_.entry.member});
  const Topic again = Topic::Of(TopicKind::kTelemetry, back.entry.member);
  EXPECT_TRUE(Bulb().Publish(Group(home_, back.entry.member, again, 2, NewStream(), 0)).refusals.empty());
}

TEST_F(RegistryTest, ADeviceMayBeAddedAgainWithTheAcceptanceItGave) {
  Furnish(home_);
  Commit(home_, {}, {bulb_.entry.member});
  Commit(home_, {&bulb_});
  Resident other = MakeResident(MemberKind::kDevice, bulb_.entry.transport);
  other.ik = bulb_.ik.Clone();
  other.entry.ik = bulb_.entry.ik;
  Commit(home_, {}, {bulb_.entry.member});
  // Another acceptance at the same reset counter was never given by an honest device.
  EXPECT_EQ(Phone().Submit(home_, home_.Make({&other})).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

class LimitedRegistryTest : public RegistryTest {
 protected:
  LimitedRegistryTest() {
    options_.intake.instantiations_per_tenant = 3;
    options_.intake.new_instantiations = {.per_second = 1, .burst = 2};
    Restart();
  }
};

TEST_F(LimitedRegistryTest, NewInstantiationsAreLimitedPerTenant) {
  std::vector<std::unique_ptr<Home>> homes;
  const auto found = [&](Peer& peer, const char* tenant) {
    homes.push_back(std::make_unique<Home>(tenant, Uri(tenant, Role::kApp, "phone")));
    return peer.Submit(*homes.back(), homes.back()->Make()).error_code();
  };
  EXPECT_EQ(found(Phone(), kAcme), grpc::StatusCode::OK);
  EXPECT_EQ(found(Phone(), kAcme), grpc::StatusCode::OK);
  EXPECT_EQ(found(Phone(), kAcme), grpc::StatusCode::RESOURCE_EXHAUSTED);  // rate
  EXPECT_EQ(found(Spy(), kGlobex), grpc::StatusCode::OK);                  // others feel nothing
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(found(Phone(), kAcme), grpc::StatusCode::OK);
  EXPECT_EQ(found(Phone(), kAcme), grpc::StatusCode::RESOURCE_EXHAUSTED);  // number
  Restart();
  EXPECT_EQ(found(Phone(), kAcme), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(found(Spy(), kGlobex), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace keystead::testing
