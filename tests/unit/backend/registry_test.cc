// Commits over real sockets: their order, their durability, who may read them.
#include <gmock/gmock.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "core/cose/cose_key.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"
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

// Somebody between may drop an answer, or have changed the list of acceptances, which nobody signed: the
// owner who comes again with its own bundle has what it asked for.
TEST_F(RegistryTest, TheSameCommitWithOtherAcceptancesIsTheSameCommit) {
  Commit(home_);
  const std::string carried = home_.Make({&bulb_, &hall_});
  CommitBundle swapped = *CommitBundle::ParseContent(AsBytes(carried));
  std::swap(swapped.acceptances.at(0), swapped.acceptances.at(1));
  const std::string changed = ToString(swapped.EncodeContent());
  ASSERT_NE(changed, carried);
  v1::SubmitCommitResponse first;
  ASSERT_TRUE(Hall().Submit(home_, changed, &first).ok());
  v1::SubmitCommitResponse again;
  ASSERT_TRUE(Phone().Submit(home_, carried, &again).ok());
  EXPECT_EQ(again.head(), first.head());
  home_.Take(carried);
  Commit(home_, {&console_});
  ASSERT_TRUE(Phone().Submit(home_, carried, &again).ok());  // also when it is not the head any more
  EXPECT_EQ(again.epoch(), 1u);
  ASSERT_TRUE(Phone().Fetch(home_, 1, &bundles_).ok());
  EXPECT_EQ(bundles_.at(0), changed);  // one bundle for everybody
  // Wraps are the owner's: with others it is not the same commit.
  swapped.wraps.at(0).sealed.back() ^= 1;
  EXPECT_EQ(Phone().Submit(home_, ToString(swapped.EncodeContent())).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Events(SecurityEventKind::kCommitRefused), 1u);
}

// The same while both are verified side by side, so that neither finds the other in the chain.
TEST_F(RegistryTest, TheSameCommitTwiceAtOnceIsTakenOnceAndAnsweredTwice) {
  Commit(home_);
  for (uint64_t round = 1; round <= 20; ++round) {
    const Resident one = MakeResident(MemberKind::kReader, absl::StrCat(Uri(kAcme, Role::kApp, "a"), round));
    const Resident two = MakeResident(MemberKind::kReader, absl::StrCat(Uri(kAcme, Role::kApp, "b"), round));
    const std::string carried = home_.Make({&one, &two});
    CommitBundle swapped = *CommitBundle::ParseContent(AsBytes(carried));
    std::swap(swapped.acceptances.at(0), swapped.acceptances.at(1));
    grpc::Status status;
    std::thread racer([&] { status = Balancer().Submit(home_, ToString(swapped.EncodeContent())); });
    const grpc::Status mine = Phone().Submit(home_, carried);
    racer.join();
    ASSERT_TRUE(mine.ok()) << round << ": " << mine.error_message();
    ASSERT_TRUE(status.ok()) << round << ": " << status.error_message();
    home_.Take(carried);
  }
  const auto keyring = Phone().Subscribe(home_, {Topic::Keyring()});
  for (uint64_t epoch = 0; epoch <= 20; ++epoch) EXPECT_TRUE(keyring->Next().has_value());
  Commit(home_);
  const auto last = keyring->Next();
  GroupHeaderCache headers;
  EXPECT_EQ(GroupView::Parse(*last, headers)->header().epoch, 21u);  // none came twice
}

TEST_F(RegistryTest, AnAcceptanceTooManyIsRefusedAndCostsTheOwnerNothing) {
  Commit(home_);
  const std::string carried = home_.Make({&bulb_});
  CommitBundle longer = *CommitBundle::ParseContent(AsBytes(carried));
  longer.acceptances.push_back({'j', 'u', 'n', 'k'});
  EXPECT_EQ(Hall().Submit(home_, ToString(longer.EncodeContent())).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Phone().Submit(home_, carried).ok());
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

class RatedRegistryTest : public RegistryTest {
 protected:
  void UseRates(const backend::CommitIntake::Options& intake) {
    options_.intake = intake;
    Restart();
  }
  static constexpr auto kTooMuch = grpc::StatusCode::RESOURCE_EXHAUSTED;
  static void ExpectLimit(const grpc::Status& status, const std::string& name, absl::Duration delay) {
    const absl::Status told = FromGrpc(status);
    EXPECT_TRUE(absl::IsResourceExhausted(told)) << told;
    EXPECT_EQ(LimitNameOf(told), name);
    EXPECT_EQ(RetryDelayOf(told), delay);
  }
};

TEST_F(RatedRegistryTest, CommitsOfOneInstantiationComeAtARate) {
  UseRates({.commits = {.per_second = 1, .burst = 3}});
  Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
  for (int i = 0; i < 3; ++i) Commit(home_);
  const std::string fourth = home_.Make();
  ExpectLimit(Phone().Submit(home_, fourth), "commits", absl::Seconds(1));
  Commit(other);  // another one feels nothing
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Phone().Submit(home_, fourth).ok());
  EXPECT_TRUE(Phone().Submit(home_, fourth).ok());  // again: nothing new
  EXPECT_GT(Events(SecurityEventKind::kLimitExceeded), 0u);
}

TEST_F(RatedRegistryTest, CommitsOfOneTenantComeAtARate) {
  UseRates({.commits_of_tenant = {.per_second = 1, .burst = 2}});
  Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Commit(home_);
  Commit(other);
  ExpectLimit(Phone().Submit(other, other.Make()), "commits", absl::Seconds(1));
  Home theirs(kGlobex, Uri(kGlobex, Role::kApp, "spy"));
  EXPECT_TRUE(Spy().Submit(theirs, theirs.Make()).ok());
}

// What does not verify costs its submitter, never the instantiation's owner.
TEST_F(RatedRegistryTest, AStrangersTriesAreItsOwn) {
  UseRates({.tries_of_peer = {.per_second = 1, .burst = 5}, .commits = {.per_second = 1, .burst = 5}});
  Commit(home_);
  Home strange(kAcme, Uri(kAcme, Role::kApp, "stranger"));
  strange.Take(strange.Make());
  const std::string junk = strange.Make();
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(Stranger().Submit(home_, junk).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ExpectLimit(Stranger().Submit(home_, junk), "submits", absl::Seconds(1));
  for (int i = 0; i < 4; ++i) Commit(home_);
}

TEST_F(RatedRegistryTest, OnePeerDoesNotUseUpItsTenantsNewInstantiations) {
  UseRates({.new_instantiations = {.per_second = 1, .burst = 4},
            .new_instantiations_of_peer = {.per_second = 1, .burst = 2}});
  std::vector<std::unique_ptr<Home>> homes;
  const auto found = [&](Peer& peer) {
    homes.push_back(std::make_unique<Home>(kAcme, Uri(kAcme, Role::kApp, "phone")));
    return peer.Submit(*homes.back(), homes.back()->Make());
  };
  EXPECT_TRUE(found(Stranger()).ok());
  EXPECT_TRUE(found(Stranger()).ok());
  for (int i = 0; i < 5; ++i) ExpectLimit(found(Stranger()), "new_instantiations", absl::Seconds(1));
  EXPECT_TRUE(found(Phone()).ok());
  EXPECT_TRUE(found(Phone()).ok());
}

// A reader that does not take its answer keeps its place, and it alone.
TEST_F(RatedRegistryTest, AnAnswerHoldsItsPlaceUntilItIsTaken) {
  backend::CommitIntake::Options intake;
  intake.fetches = {.total = 8, .of_group = 8, .of_caller = 1};
  UseRates(intake);
  Furnish(home_);
  // Larger than what HTTP/2 lets through to one that does not read.
  Resident large = MakeResident(MemberKind::kReader, Uri(kAcme, Role::kApp, "large"));
  for (int i = 0; i < 1000; ++i)
    large.entry.rights.push_back(
        {*Topic::Parse(absl::StrCat("telemetry/", bulb_.entry.member.ToHex(), "/g", 1000 + i)), true, false});
  Commit(home_, {&large});
  for (int i = 0; i < 12; ++i) Commit(home_);
  UnreadFetch slow(backend_->port(), TestPki::Shared().Leaf(kAcme, Role::kApp, "phone"), home_);
  slow.AwaitHeaders();
  ExpectLimit(Phone().Fetch(home_, 0, &bundles_), "registry_calls", absl::Seconds(1));
  EXPECT_TRUE(Bulb().Fetch(home_, 0, &bundles_).ok());
  slow.Cancel();
  grpc::Status status;
  for (int tries = 0; tries < 10000; ++tries) {
    if (status = Phone().Fetch(home_, 0, &bundles_); status.error_code() != kTooMuch) break;
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
}

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
