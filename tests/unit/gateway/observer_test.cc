// What a gateway shows of a record: its own tenant's administrators see what lies on its disk, nobody else
// does, and looking changes nothing.
#include <gmock/gmock.h>

#include <fstream>

#include "core/base/limits.h"
#include "gateway/rows.h"
#include "keystead/v1/observer.grpc.pb.h"
#include "tests/unit/gateway/gateway_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class GatewayObserverTest : public GatewayTest {
 protected:
  GatewayObserverTest() { options_.observer = true; }

  void Fill() {
    StartInHome();
    PublishWitness witness;
    const auto device = Publish(Role::kDevice, "device-1", witness);
    witness.AwaitDurable(Send(*device, 1, 0, 9));
  }
  v1::HeldRequest OfDevice(std::initializer_list<uint64_t> sequences) const {
    const GroupHeader header = Header(devices_[0]);
    v1::HeldRequest out;
    out.set_tenant(header.tenant.str());
    out.set_instantiation(header.instantiation.ToString());
    for (const uint64_t sequence : sequences) {
      v1::RecordPlace& place = *out.add_places();
      place.set_topic(header.topic.str());
      place.set_sender(header.sender.ToString());
      place.set_epoch(header.epoch);
      place.set_stream(header.stream.ToString());
      place.set_sequence(sequence);
    }
    return out;
  }
  grpc::Status Look(Role role, const v1::HeldRequest& request, v1::HeldResponse* response) const {
    v1::Observer::Stub stub(Dial(role, "watcher"));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return stub.Held(&context, request, response);
  }
  // All that the store holds, byte for byte; the gateway is stopped for it.
  std::string Stored() const {
    storage::Options options;
    options.path = options_.state + "/store";
    options.format_name = "keystead-gateway";
    const auto store = *storage::LogStore::Open(options);
    const auto snapshot = *store->SnapshotTenant(gateway::kTenantNumber);
    std::string out;
    while (true) {
      const auto items = *snapshot->Next(1 << 20);
      if (items.empty()) return out;
      for (const storage::TenantItem& item : items) {
        out += std::to_string(static_cast<int>(item.kind)) + " " + std::to_string(item.log) + " " +
               std::to_string(item.offset) + " " + std::to_string(item.end) + " " +
               std::to_string(static_cast<int>(item.table)) + " " + item.key + "=" + item.value + "\n";
      }
    }
  }
};

TEST_F(GatewayObserverTest, AnAdministratorSeesTheBytesOnTheDisk) {
  Fill();
  v1::HeldResponse response;
  const grpc::Status status = Look(Role::kAdmin, OfDevice({3}), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.holder(), v1::HOLDER_GATEWAY);
  ASSERT_THAT(response.groups(), SizeIs(1));
  GroupHeaderCache headers;
  const auto view = GroupView::Parse(response.groups(0).group(), headers);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->header(), Header(devices_[0]));
  EXPECT_LE(view->first_sequence(), 3u);
  EXPECT_GE(view->last_sequence(), 3u);
  const std::string held = response.groups(0).group();
  Stop();
  EXPECT_NE(Stored().find(held), std::string::npos) << "it is not what the disk holds";
}

TEST_F(GatewayObserverTest, LookingChangesNothing) {
  Fill();
  Stop(absl::Seconds(5));
  const std::string before = Stored();
  upstream_.Stop();  // nothing comes and goes but what this test asks
  Start();
  AwaitBelonging();
  v1::HeldRequest newest = OfDevice({});
  newest.set_last(limits::kMaxHeldGroups);
  v1::HeldResponse response;
  for (const v1::HeldRequest& request : {OfDevice({0, 9, 55}), newest})
    ASSERT_TRUE(Look(Role::kAdmin, request, &response).ok());
  ASSERT_THAT(response.groups(), Not(IsEmpty()));
  Stop();
  EXPECT_EQ(Stored(), before);
}

TEST_F(GatewayObserverTest, WhoIsNoAdministratorOrAsksForAnothersIsRefusedWithAnEvent) {
  Fill();
  v1::HeldResponse response;
  // Only of who looks: the next hop of these tests refuses things as well.
  absl::Mutex mutex;
  std::vector<SecurityEventKind> seen;
  const SecurityEventTap tap([&](const SecurityEvent& event) {
    absl::MutexLock lock(&mutex);
    if (event.peer.ends_with("/watcher")) seen.push_back(event.kind);
  });
  const auto taken = [&] {
    absl::MutexLock lock(&mutex);
    return std::exchange(seen, {});
  };
  for (const Role role : {Role::kDevice, Role::kApp, Role::kGateway, Role::kThirdParty, Role::kService}) {
    EXPECT_EQ(Look(role, OfDevice({3}), &response).error_code(), grpc::StatusCode::PERMISSION_DENIED)
        << RoleName(role);
    EXPECT_THAT(response.groups(), IsEmpty());
    EXPECT_THAT(taken(), ElementsAre(SecurityEventKind::kNotPermitted)) << RoleName(role);
  }
  v1::HeldRequest anothers = OfDevice({3});
  anothers.set_tenant(kGlobex);
  EXPECT_EQ(Look(Role::kAdmin, anothers, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(taken(), ElementsAre(SecurityEventKind::kNotPermitted));
  v1::HeldRequest giant = OfDevice({});
  for (int n = 0; n < 20'000; ++n) *giant.add_places() = OfDevice({3}).places(0);
  EXPECT_EQ(Look(Role::kAdmin, giant, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(taken(), ElementsAre(SecurityEventKind::kMalformed));
}

TEST_F(GatewayObserverTest, UnlessTheGatewayIsToldToItServesNone) {
  options_.observer = false;
  Fill();
  v1::HeldResponse response;
  EXPECT_EQ(Look(Role::kAdmin, OfDevice({3}), &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace keystead::testing
