// The data path against the roster, over real sockets.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::Optional;

constexpr auto kDenied = grpc::StatusCode::PERMISSION_DENIED;
constexpr auto kNotFound = grpc::StatusCode::NOT_FOUND;
constexpr auto kOver = grpc::StatusCode::FAILED_PRECONDITION;

class BackendTransportTest : public BackendTest {
 protected:
  BackendTransportTest() { Furnish(home_); }
  std::string FromBulb(uint64_t epoch, uint64_t sequence = 0, std::string_view cose = "sealed") const {
    return Group(home_, bulb_.entry.member, telemetry_, epoch, stream_, sequence, cose);
  }

  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  const StreamId stream_ = NewStream();
  const Topic telemetry_ = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
  const Topic state_ = Topic::Of(TopicKind::kState, bulb_.entry.member);
  const Topic command_ = Topic::Of(TopicKind::kCommand, bulb_.entry.member);
};

TEST_F(BackendTransportTest, CarriesRecordsFromASenderToReaders) {
  const auto phone = Phone().Subscribe(home_, {telemetry_, state_});
  const auto console = Console().Subscribe(home_, {telemetry_});
  const PublishResult published = Bulb().Publish(FromBulb(1));
  EXPECT_TRUE(published.status.ok());
  EXPECT_EQ(published.durable, 1u);
  EXPECT_THAT(published.refusals, ::testing::IsEmpty());
  EXPECT_THAT(phone->Next(), Optional(FromBulb(1)));
  EXPECT_THAT(console->Next(), Optional(FromBulb(1)));
  Restart();
  EXPECT_THAT(Phone().Subscribe(home_, {telemetry_})->Next(), Optional(FromBulb(1)));
}

TEST_F(BackendTransportTest, OnlyCouriersOfTheRosterCarryForOthers) {
  EXPECT_TRUE(Hall().Publish(FromBulb(1)).refusals.empty());
  EXPECT_EQ(Balancer().Publish(FromBulb(1, 1)).code(), kNotFound);  // a gateway, but of no roster
  EXPECT_EQ(Console().Publish(FromBulb(1, 1)).code(), kDenied);     // a member, but no courier
  EXPECT_EQ(Phone().Publish(FromBulb(1, 1)).code(), kDenied);
  const Resident balancer = MakeResident(MemberKind::kCourier, Uri(kAcme, Role::kGateway, "balancer"));
  Commit(home_, {&balancer});
  EXPECT_TRUE(Balancer().Publish(FromBulb(1, 1)).refusals.empty());
}

TEST_F(BackendTransportTest, ForeignTenantAndUnknownGetOneAnswer) {
  const Home absent(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const Home theirs(kGlobex, Uri(kGlobex, Role::kApp, "spy"));
  const std::string unknown = Group(absent, bulb_.entry.member, telemetry_, 0, NewStream(), 0);
  const PublishResult results[] = {Spy().Publish(FromBulb(1)), Spy().Publish(unknown),
                                   Stranger().Publish(FromBulb(1)), Bulb().Publish(unknown)};
  for (const PublishResult& result : results) {
    ASSERT_EQ(result.refusals.size(), 1u);
    EXPECT_EQ(result.code(), kNotFound);
    EXPECT_EQ(result.refusals[0].reason(), results[0].refusals[0].reason());
  }
  const grpc::Status ends[] = {
      Spy().Subscribe(home_, {telemetry_})->End(), Spy().Subscribe(absent, {telemetry_})->End(),
      Stranger().Subscribe(home_, {telemetry_})->End(), Phone().Subscribe(absent, {telemetry_})->End(),
      Phone().Subscribe(theirs, {telemetry_})->End()};
  for (const grpc::Status& end : ends) {
    EXPECT_EQ(end.error_code(), kNotFound);
    EXPECT_EQ(end.error_message(), ends[0].error_message());
  }
  EXPECT_GE(Events(SecurityEventKind::kNotPermitted), 9u);
}

// What the mutant tenant_filter_off breaks, end to end.
TEST_F(BackendTransportTest, AForeignTenantGetsNoCiphertext) {
  ASSERT_TRUE(Bulb().Publish(FromBulb(1)).refusals.empty());
  EXPECT_EQ(Spy().Subscribe(home_, {telemetry_})->Next(), std::nullopt);
  EXPECT_EQ(As(kGlobex, Role::kGateway, "hall").Subscribe(home_, {telemetry_})->Next(), std::nullopt);
}

TEST_F(BackendTransportTest, RightsDecidePerTopic) {
  const StreamId stream = NewStream();
  const auto publish = [&](Peer& peer, const MemberId& sender, const Topic& topic) {
    return peer.Publish(Group(home_, sender, topic, 1, stream, 0)).code();
  };
  EXPECT_EQ(publish(Bulb(), bulb_.entry.member, command_), kDenied);
  EXPECT_EQ(publish(Bulb(), bulb_.entry.member, state_), grpc::StatusCode::OK);
  EXPECT_EQ(publish(Phone(), home_.owner(), command_), grpc::StatusCode::OK);
  EXPECT_EQ(publish(Console(), console_.entry.member, telemetry_), kDenied);
  EXPECT_EQ(Console().Subscribe(home_, {state_})->End().error_code(), kDenied);
  EXPECT_EQ(Console().Subscribe(home_, {telemetry_, state_})->End().error_code(), kDenied);
  EXPECT_EQ(Bulb().Subscribe(home_, {telemetry_})->End().error_code(), kDenied);
  EXPECT_TRUE(Bulb().Subscribe(home_, {command_, Topic::Keyring()})->CaughtUp());
  EXPECT_TRUE(Hall().Subscribe(home_, {telemetry_, state_, command_})->CaughtUp());
  // Nobody opens logs that no member writes.
  const Topic nobody = Topic::Of(TopicKind::kTelemetry, RandomSource::System().NewId<MemberId>());
  EXPECT_EQ(Phone().Subscribe(home_, {nobody})->End().error_code(), kNotFound);
}

TEST_F(BackendTransportTest, SenderAndStreamMustBeGenuine) {
  const MemberId stranger = RandomSource::System().NewId<MemberId>();
  EXPECT_EQ(Hall().Publish(Group(home_, stranger, telemetry_, 1, stream_, 0)).code(), kDenied);
  EXPECT_EQ(Bulb().Publish(Group(home_, home_.owner(), telemetry_, 1, stream_, 0)).code(), kDenied);
  EXPECT_EQ(Bulb().Publish(Group(home_, bulb_.entry.member, telemetry_, 1, StreamId(), 0)).code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  // Commits enter keyring through the Registry only.
  EXPECT_EQ(Phone().Publish(Group(home_, home_.owner(), Topic::Keyring(), 2, StreamId(), 0)).code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Bulb().Publish(FromBulb(0)).code(), kDenied);  // not yet a member then
  EXPECT_EQ(Bulb().Publish(FromBulb(2)).code(), kOver);    // an epoch that nobody made
}

TEST_F(BackendTransportTest, OldEpochsDrainForThirtyDays) {
  const Resident lamp = MakeResident(MemberKind::kDevice, Uri(kAcme, Role::kDevice, "lamp"));
  Commit(home_, {&lamp});
  EXPECT_TRUE(Bulb().Publish(FromBulb(1)).refusals.empty());
  EXPECT_TRUE(
      Bulb().Publish(Group(home_, bulb_.entry.member, telemetry_, 2, NewStream(), 0)).refusals.empty());
  clock_.Advance(absl::Hours(24 * 30) - absl::Minutes(1));
  EXPECT_TRUE(Bulb().Publish(FromBulb(1, 1)).refusals.empty());
  Restart();  // the time of the commit is kept
  EXPECT_TRUE(Bulb().Publish(FromBulb(1, 2)).refusals.empty());
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(Bulb().Publish(FromBulb(1, 3)).code(), kOver);
  EXPECT_TRUE(
      Bulb().Publish(Group(home_, bulb_.entry.member, telemetry_, 2, NewStream(), 0)).refusals.empty());
}

TEST_F(BackendTransportTest, RemovedMembersAreOutAtOnceAndTheirQueuesDrain) {
  const auto console = Console().Subscribe(home_, {telemetry_});
  const auto phone = Phone().Subscribe(home_, {telemetry_});
  ASSERT_TRUE(console->CaughtUp());
  ASSERT_TRUE(phone->CaughtUp());
  Commit(home_, {}, {console_.entry.member, bulb_.entry.member});
  EXPECT_EQ(console->End().error_code(), kDenied);
  EXPECT_EQ(Console().Subscribe(home_, {telemetry_})->End().error_code(), kNotFound);
  EXPECT_EQ(Bulb().Publish(FromBulb(1)).code(), kNotFound);
  // What it had handed to a courier before still arrives, for those who stayed.
  EXPECT_TRUE(Hall().Publish(FromBulb(1)).refusals.empty());
  EXPECT_THAT(phone->Next(), Optional(FromBulb(1)));
  EXPECT_EQ(Hall().Publish(Group(home_, bulb_.entry.member, telemetry_, 2, NewStream(), 0)).code(), kDenied);
}

TEST_F(BackendTransportTest, AnOpenPublishMeetsTheNewRoster) {
  grpc::ClientContext context;
  auto stream = Bulb().transport().Publish(&context);
  const auto send = [&](uint64_t sequence) {
    v1::PublishRequest request;
    request.add_groups(FromBulb(1, sequence));
    v1::PublishResponse response;
    if (!stream->Write(request) || !stream->Read(&response)) return grpc::StatusCode::CANCELLED;
    return response.refusals().empty() ? grpc::StatusCode::OK
                                       : static_cast<grpc::StatusCode>(response.refusals(0).code());
  };
  EXPECT_EQ(send(0), grpc::StatusCode::OK);
  EXPECT_EQ(send(1), grpc::StatusCode::OK);
  Commit(home_, {}, {bulb_.entry.member});
  EXPECT_EQ(send(2), kNotFound);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(BackendTransportTest, ExpiryClosesAccessAtOnce) {
  Resident guest = MakeResident(MemberKind::kReader, Uri(kAcme, Role::kThirdParty, "guest"));
  guest.entry.rights = {{telemetry_, true, false}};
  guest.entry.expires_at = absl::ToUnixSeconds(clock_.Now() + absl::Hours(1));
  Resident lamp = MakeResident(MemberKind::kDevice, Uri(kAcme, Role::kDevice, "lamp"));
  lamp.entry.expires_at = guest.entry.expires_at;
  Commit(home_, {&guest, &lamp});
  Peer& reader = As(kAcme, Role::kThirdParty, "guest");
  const auto open = reader.Subscribe(home_, {telemetry_});
  ASSERT_TRUE(open->CaughtUp());
  const StreamId stream = NewStream();
  const Topic topic = Topic::Of(TopicKind::kTelemetry, lamp.entry.member);
  const auto publish = [&](Peer& peer, uint64_t sequence) {
    return peer.Publish(Group(home_, lamp.entry.member, topic, 2, stream, sequence)).code();
  };
  EXPECT_EQ(publish(Hall(), 0), grpc::StatusCode::OK);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(open->End().error_code(), kDenied);  // without anything happening
  EXPECT_EQ(reader.Subscribe(home_, {telemetry_})->End().error_code(), kDenied);
  EXPECT_EQ(publish(Hall(), 1), kDenied);
  EXPECT_EQ(publish(As(kAcme, Role::kDevice, "lamp"), 1), kDenied);
}

TEST_F(BackendTransportTest, ADeniedCertificateEndsItsCalls) {
  const auto open = Console().Subscribe(home_, {telemetry_});
  ASSERT_TRUE(open->CaughtUp());
  const auto info =
      ValidateCertificateFiles(TestPki::Shared().Leaf(kAcme, Role::kThirdParty, "console"), absl::Now());
  ASSERT_TRUE(info.ok());
  backend_->deny_list().DenyFingerprint(Tenant(kAcme), info->fingerprint);
  ASSERT_TRUE(Bulb().Publish(FromBulb(1)).refusals.empty());
  EXPECT_EQ(open->End().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(BackendTransportTest, ADenyListIsAFileThatMayChange) {
  options_.deny_list = TestPki::Shared().NewFolder() + "/deny";
  std::ofstream(options_.deny_list) << "# nobody yet\n";
  options_.tick = absl::Hours(1);
  Restart();
  const auto open = Console().Subscribe(home_, {telemetry_});
  const auto other = Bulb().Subscribe(home_, {command_});
  ASSERT_TRUE(open->CaughtUp());
  ASSERT_TRUE(other->CaughtUp());
  const auto info =
      ValidateCertificateFiles(TestPki::Shared().Leaf(kAcme, Role::kThirdParty, "console"), absl::Now());
  ASSERT_TRUE(info.ok());
  // Under another tenant's name it denies nobody.
  std::ofstream(options_.deny_list) << "tenant " << kGlobex << "\nsha256 " << info->fingerprint.ToHex()
                                    << "\n";
  backend_->Tick();
  EXPECT_TRUE(Console().Subscribe(home_, {telemetry_})->CaughtUp());
  std::ofstream(options_.deny_list) << "tenant " << kAcme << "\nsha256 " << info->fingerprint.ToHex() << "\n";
  backend_->Tick();
  EXPECT_EQ(open->End().error_code(), grpc::StatusCode::UNAUTHENTICATED);  // although nothing moves on it
  EXPECT_NE(Console().Subscribe(home_, {telemetry_})->End().error_code(), grpc::StatusCode::OK);
  ASSERT_TRUE(Phone().Publish(Group(home_, home_.owner(), command_, 1, NewStream(), 0)).refusals.empty());
  EXPECT_TRUE(other->Next().has_value());
  // A line that is wrong changes nothing; a list without the name lets it in again.
  std::ofstream(options_.deny_list) << "nonsense\n";
  backend_->Tick();
  EXPECT_NE(Console().Subscribe(home_, {telemetry_})->End().error_code(), grpc::StatusCode::OK);
  std::ofstream(options_.deny_list) << "\n";
  backend_->Tick();
  EXPECT_TRUE(Console().Subscribe(home_, {telemetry_})->CaughtUp());
}

}  // namespace
}  // namespace keystead::testing
