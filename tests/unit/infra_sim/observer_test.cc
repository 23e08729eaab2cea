// What hostile equipment shows of what passed it: what came in, what it sent on instead, and to whom.
#include "infra-sim/observer.h"

#include <gmock/gmock.h>

#include "core/base/limits.h"
#include "core/transport/channel_options.h"
#include "core/transport/group_view.h"
#include "core/transport/tls_credentials.h"
#include "infra-sim/control_service.h"
#include "infra-sim/group_view.h"
#include "tests/unit/infra_sim/fixtures.h"
#include "tests/unit/infra_sim/hop_fixture.h"

namespace keystead::infra {
namespace {

using ::testing::IsEmpty;
using testing::kAcme;
using testing::kGlobex;
using ::testing::SizeIs;

v1::StreamHeader SealedHeader(const std::string& tenant = kAcme) {
  GroupHeader header;
  header.tenant = *TenantName::Parse(tenant);
  header.instantiation = *InstantiationId::FromBytes(std::string(16, 'i'));
  header.sender = *MemberId::FromBytes(std::string(16, 'm'));
  header.topic = Topic::Of(TopicKind::kTelemetry, header.sender);
  header.epoch = 4;
  header.stream = *StreamId::FromBytes(std::string(16, 's'));
  v1::StreamHeader out;
  const std::string encoded = EncodeGroupHeader(header);
  v1::SealedGroup group;
  group.ParseFromString(encoded);
  return group.header();
}

std::string Sealed(uint64_t sequence, int records = 1, const std::string& tenant = kAcme) {
  return Group(SealedHeader(tenant), sequence, records).SerializeAsString();
}

class EquipmentObserverTest : public HopTest {
 protected:
  EquipmentObserverTest() {
    ServerOptions options;
    options.listen_address = "127.0.0.1:0";
    options.credentials = *MakeServerCredentials(TlsOptions{.files = pki_.Backend()});
    options.resolver = std::shared_ptr<const PrincipalResolver>(std::shared_ptr<void>(), &resolver_);
    options.policy = ControlPolicy();
    v1::Listener front;
    front.set_name("front");
    control_.AddListener(front);
    options.services = {observer_.service(), &control_};
    server_.emplace(*StartServer(options));
  }
  ~EquipmentObserverTest() override { server_->Shutdown(absl::ZeroDuration()); }

  std::shared_ptr<grpc::Channel> Channel(Role role, const char* tenant) const {
    const auto credentials =
        MakeChannelCredentials(TlsOptions{.files = pki_.Leaf(tenant, role, "watcher")},
                               *PeerExpectation::Parse("spiffe://provider-one.example/service/backend"));
    return DialChannel(server_->address(), *credentials);
  }
  grpc::Status Look(const v1::HeldRequest& request, v1::HeldResponse* response, Role role = Role::kAdmin,
                    const char* tenant = kAcme) {
    v1::Observer::Stub stub(Channel(role, tenant));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return stub.Held(&context, request, response);
  }
  v1::HeldResponse See(const v1::HeldRequest& request) {
    v1::HeldResponse out;
    const grpc::Status status = Look(request, &out);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return out;
  }
  static v1::HeldRequest Newest(uint32_t last) {
    v1::HeldRequest out;
    out.set_tenant(kAcme);
    out.set_instantiation(SealedHeader().instantiation());
    out.set_last(last);
    return out;
  }
  static v1::HeldRequest At(uint64_t sequence) {
    v1::HeldRequest out = Newest(0);
    v1::RecordPlace& place = *out.add_places();
    place.set_topic(SealedHeader().topic());
    place.set_sender(SealedHeader().sender());
    place.set_epoch(SealedHeader().epoch());
    place.set_stream(SealedHeader().stream());
    place.set_sequence(sequence);
    return out;
  }
  static std::vector<std::string> Sent(const v1::HeldGroup& group) {
    return {group.sent().begin(), group.sent().end()};
  }

  EquipmentObserver observer_{&resolver_, &engine_};
  ControlService control_{&engine_};
  std::optional<RunningServer> server_;
};

TEST_F(EquipmentObserverTest, WhatPassedIsShownAsItCameInAndWhatWasChangedAlsoAsItWentOn) {
  StartBalancer();
  Publishing call(Client());
  ASSERT_TRUE(call.Send({Sealed(1)}));
  ASSERT_TRUE(call.WaitForAck(1).has_value());
  auto attack = Attack(v1::ATTACK_MODIFY, v1::TARGET_COSE_TAG);
  attack.set_count(1);
  const uint64_t number = Arm(attack);
  ASSERT_TRUE(call.Send({Sealed(2)}));
  ASSERT_TRUE(call.WaitForAck(2).has_value());

  const v1::HeldResponse honest = See(At(1));
  EXPECT_EQ(honest.holder(), v1::HOLDER_EQUIPMENT);
  ASSERT_THAT(honest.groups(), SizeIs(1));
  EXPECT_EQ(honest.groups(0).group(), Sealed(1));
  EXPECT_EQ(honest.groups(0).direction(), "up");
  EXPECT_EQ(honest.groups(0).attack(), 0u);
  EXPECT_THAT(honest.groups(0).sent(), IsEmpty());
  EXPECT_GT(honest.groups(0).not_before_us(), 0);

  const v1::HeldResponse changed = See(At(2));
  ASSERT_THAT(changed.groups(), SizeIs(1));
  EXPECT_EQ(changed.groups(0).group(), Sealed(2));
  EXPECT_EQ(changed.groups(0).attack(), number);
  ASSERT_THAT(Sent(changed.groups(0)), SizeIs(1));
  EXPECT_NE(changed.groups(0).sent(0), Sealed(2));
  EXPECT_EQ(changed.groups(0).sent(0), next_.groups().back().group) << "not what the next hop got";
}

TEST_F(EquipmentObserverTest, WhatWasDroppedIsShownWithNothingSentOn) {
  auto attack = Attack(v1::ATTACK_ACK_AND_DROP);
  attack.set_count(1);
  const uint64_t number = Arm(attack);
  engine_.Observe("front", Direction::kUp, Sealed(3));
  engine_.Decide("front", Direction::kUp, Sealed(3));
  const v1::HeldResponse seen = See(At(3));
  ASSERT_THAT(seen.groups(), SizeIs(1));
  EXPECT_EQ(seen.groups(0).attack(), number);
  EXPECT_THAT(seen.groups(0).sent(), IsEmpty());
}

TEST_F(EquipmentObserverTest, TheNewestAreTheNewestOfEachListenerAndDirection) {
  for (uint64_t n = 0; n < 9; ++n) {
    engine_.Observe("front", Direction::kUp, Sealed(n));
    engine_.Observe("back", Direction::kDown, Sealed(100 + n));
  }
  const v1::HeldResponse all = See(Newest(2));
  ASSERT_THAT(all.groups(), SizeIs(4));
  v1::HeldRequest at_front = Newest(2);
  at_front.set_listener("front");
  const v1::HeldResponse front = See(at_front);
  ASSERT_THAT(front.groups(), SizeIs(2));
  EXPECT_EQ(front.groups(0).group(), Sealed(7));
  EXPECT_EQ(front.groups(1).group(), Sealed(8));
}

TEST_F(EquipmentObserverTest, OfARelayTheNewestTlsRecordsAndWhatWasSentInstead) {
  const auto record = [](char fill) { return std::string("\x17\x03\x03\x00\x04", 5) + std::string(4, fill); };
  const std::string handshake = std::string("\x16\x03\x03\x00\x04", 5) + "wxyz";
  engine_.DecideTls("wire", Direction::kUp, 0, handshake);
  for (uint64_t n = 1; n <= 40; ++n) engine_.DecideTls("wire", Direction::kUp, n, record('a'));
  auto attack = Attack(v1::ATTACK_MODIFY);
  attack.set_topic_prefix("tls");
  attack.set_count(1);
  const uint64_t number = Arm(attack);
  engine_.DecideTls("wire", Direction::kUp, 41, record('b'));
  const v1::HeldResponse seen = See(Newest(1));
  ASSERT_THAT(seen.tls(), SizeIs(TlsNotebook::kRemembered));
  const v1::PassedTls& last = seen.tls(TlsNotebook::kRemembered - 1);
  EXPECT_EQ(last.record(), record('b'));
  EXPECT_EQ(last.number(), 41u);
  EXPECT_EQ(last.attack(), number);
  ASSERT_THAT(last.sent(), SizeIs(1));
  EXPECT_NE(last.sent(0), record('b'));
  EXPECT_EQ(seen.tls(0).attack(), 0u);
}

TEST_F(EquipmentObserverTest, ControlTellsWhereItStandsAndWhatIsArmed) {
  Arm(Attack(v1::ATTACK_DELAY));
  v1::InfraControl::Stub stub(Channel(Role::kAdmin, kAcme));
  grpc::ClientContext context;
  v1::ListenersResponse response;
  ASSERT_TRUE(stub.Listeners(&context, v1::ListenersRequest(), &response).ok());
  ASSERT_THAT(response.listeners(), SizeIs(1));
  EXPECT_EQ(response.listeners(0).name(), "front");
  ASSERT_THAT(response.armed(), SizeIs(1));
  EXPECT_EQ(response.armed(0).request().kind(), v1::ATTACK_DELAY);
}

TEST_F(EquipmentObserverTest, AnotherTenantsRecordsNeverShowAndItsAdministratorIsRefusedWithAnEvent) {
  engine_.Observe("front", Direction::kUp, Sealed(1, 1, kGlobex));
  engine_.Observe("front", Direction::kUp, Sealed(1));
  const v1::HeldResponse seen = See(Newest(64));
  ASSERT_THAT(seen.groups(), SizeIs(1));
  EXPECT_EQ(seen.groups(0).group(), Sealed(1));
  size_t refused = 0;
  const SecurityEventTap tap([&](const SecurityEvent& event) {
    if (event.kind == SecurityEventKind::kNotPermitted) ++refused;
  });
  v1::HeldResponse response;
  EXPECT_EQ(Look(Newest(64), &response, Role::kAdmin, kGlobex).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Look(Newest(64), &response, Role::kApp).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(response.groups(), IsEmpty());
  EXPECT_EQ(refused, 2u);
}

TEST(GroupMemoryTest, WhatWasSentInsteadCountsAgainstTheBoundAndTheOldestGo) {
  GroupMemory memory({.latest_bytes = 10 << 10, .latest_groups = 1000});
  const auto header = std::string("header");
  for (int n = 0; n < 100; ++n) {
    const std::string group = std::to_string(n) + std::string(1000, 'x');
    memory.Remember(header, group, "front", "up", absl::UnixEpoch());
    memory.NoteChanged("front", "up", group, 1, {std::string(1000, 'y'), std::string(1000, 'z')});
    memory.NoteChanged("front", "up", group, 1, {std::string(1000, 'y'), std::string(1000, 'z')});
  }
  EXPECT_THAT(memory.passings(), SizeIs(3));
  EXPECT_EQ(memory.passings().back().group->substr(0, 2), "99");
}

}  // namespace
}  // namespace keystead::infra
