// What an operator is shown of a record: what lies in the store, and what its keystore makes of it. Nobody
// else sees it, and looking changes nothing.
#include <gmock/gmock.h>

#include "core/base/limits.h"
#include "keystead/v1/observer.grpc.pb.h"
#include "tests/unit/backend/backup_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ObserverTest : public BackupTest {
 protected:
  ObserverTest() {
    options_.observer = true;
    Restart();
  }
  v1::HeldRequest OfBulb(std::initializer_list<uint64_t> sequences) const {
    v1::HeldRequest out;
    out.set_tenant(kAcme);
    out.set_instantiation(home_.id().ToString());
    for (const uint64_t sequence : sequences) {
      v1::RecordPlace& place = *out.add_places();
      place.set_topic(telemetry_.str());
      place.set_sender(bulb_.entry.member.ToString());
      place.set_epoch(1);
      place.set_stream(stream_.ToString());
      place.set_sequence(sequence);
    }
    return out;
  }
  static grpc::Status Look(Peer& peer, const v1::HeldRequest& request, v1::HeldResponse* response) {
    v1::Observer::Stub stub(peer.channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return stub.Held(&context, request, response);
  }
};

TEST_F(ObserverTest, AnOperatorSeesWhatLiesThereAndWhatTheKeystoreMakesOfIt) {
  v1::HeldResponse response;
  const grpc::Status status = Look(Operator(), OfBulb({1}), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.holder(), v1::HOLDER_BACKEND);
  ASSERT_THAT(response.groups(), SizeIs(1));
  const v1::HeldGroup& held = response.groups(0);
  EXPECT_EQ(held.group(), FromBulb(1));
  EXPECT_EQ(held.offset(), 1u);
  EXPECT_THAT(held.stored(), Not(HasSubstr("sealed elsewhere")));
  EXPECT_THAT(held.stored(), Not(HasSubstr(kAcme)));
  StopBackend();
  const Raw raw = RawOf(kAcmeNumber);
  EXPECT_TRUE(std::any_of(raw.begin(), raw.end(), [&](const storage::TenantItem& item) {
    return item.kind == storage::TenantItem::Kind::kEntry && item.value == held.stored();
  })) << "it is not what the disk holds";
}

TEST_F(ObserverTest, TheNewestOfTopicsThatBeginSo) {
  v1::HeldRequest request = OfBulb({});
  request.set_last(2);
  request.set_topic_prefix("telemetry/");
  v1::HeldResponse response;
  ASSERT_TRUE(Look(Operator(), request, &response).ok());
  ASSERT_THAT(response.groups(), SizeIs(2));
  EXPECT_EQ(response.groups(1).group(), FromBulb(2));
  EXPECT_FALSE(response.more());
}

// A row that was changed on the disk, or an entry, would be seen here: every byte is compared.
TEST_F(ObserverTest, LookingChangesNothingOfAnybodys) {
  StopBackend();
  const std::string others = EverybodyElse(kTenantNumbers);
  Start();
  v1::HeldRequest request = OfBulb({});
  request.set_last(limits::kMaxHeldGroups);
  v1::HeldResponse response;
  for (const v1::HeldRequest& asked : {OfBulb({0, 1, 2, 77}), request})
    ASSERT_TRUE(Look(Operator(), asked, &response).ok());
  ASSERT_THAT(response.groups(), Not(IsEmpty()));
  StopBackend();
  EXPECT_EQ(EverybodyElse(kTenantNumbers), others);
}

TEST_F(ObserverTest, WhoIsNoOperatorOrAsksForTooMuchIsRefusedWithAnEvent) {
  v1::HeldResponse response;
  size_t events = Events(SecurityEventKind::kNotPermitted);
  for (Peer* const peer : {&Phone(), &Bulb(), &Hall(), &Console(), &Spy(), &As(kAcme, Role::kAdmin, "root"),
                           &As(kAcme, Role::kService, "maker")}) {
    EXPECT_EQ(Look(*peer, OfBulb({1}), &response).error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(response.groups(), IsEmpty());
    EXPECT_EQ(Events(SecurityEventKind::kNotPermitted), ++events);
  }
  v1::HeldRequest nobodys = OfBulb({1});
  nobodys.set_tenant("nobody.keystead.example");
  EXPECT_EQ(Look(Operator(), nobodys, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Events(SecurityEventKind::kNotPermitted), ++events);
  v1::HeldRequest giant = OfBulb({});
  for (int n = 0; n < 20'000; ++n) *giant.add_places() = OfBulb({1}).places(0);
  EXPECT_EQ(Look(Operator(), giant, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Events(SecurityEventKind::kMalformed), 1u);
}

// Of the other tenant's instantiation, named together with this tenant, there is nothing.
TEST_F(ObserverTest, NothingOfAnotherTenantShowsUnderThisOnesName) {
  v1::HeldRequest request = OfBulb({});
  request.set_instantiation(their_home_->id().ToString());
  request.set_last(limits::kMaxHeldGroups);
  v1::HeldResponse response;
  ASSERT_TRUE(Look(Operator(), request, &response).ok());
  EXPECT_THAT(response.groups(), IsEmpty());
  request.set_tenant(kGlobex);
  ASSERT_TRUE(Look(Operator(), request, &response).ok());
  EXPECT_THAT(response.groups(), Not(IsEmpty())) << "there is something to be seen";
}

TEST_F(ObserverTest, UnlessTheBackendIsToldToItServesNone) {
  options_.observer = false;
  Restart();
  v1::HeldResponse response;
  EXPECT_EQ(Look(Operator(), OfBulb({1}), &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace keystead::testing
