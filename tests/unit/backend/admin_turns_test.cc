// One tenant's erasure and one tenant's rotations are no other tenant's business.
#include <gmock/gmock.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "core/cose/sign1.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/admin.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

using v1::TenantAdmin;

constexpr auto kFull = grpc::StatusCode::RESOURCE_EXHAUSTED;

class AdminTurnsTest : public BackendTest {
 protected:
  AdminTurnsTest() {
    options_.sign = [this](std::string_view typ, ByteView payload) {
      if (holds_.exchange(false)) {
        held_.Notify();
        go_on_.WaitForNotification();
      }
      return cose::SignSign1(signer_, typ, payload, {});
    };
    Restart();
    Furnish(home_);
    Found(their_home_, Spy());
  }
  ~AdminTurnsTest() override {
    if (!go_on_.HasBeenNotified()) go_on_.Notify();
    if (eraser_.joinable()) eraser_.join();
  }
  static void Found(Home& home, Peer& owner) {
    const std::string founded = home.Make();
    EXPECT_TRUE(owner.Submit(home, founded).ok());
    home.Take(founded);
  }
  template <class Request, class Response>
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                           grpc::Status (TenantAdmin::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                     Response*),
                           const Request& request, Response* response) {
    TenantAdmin::Stub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return (stub.*method)(&context, request, response);
  }
  static grpc::Status EraseTenant(Peer& peer, std::string_view tenant, std::string* receipt = nullptr) {
    v1::EraseTenantRequest request;
    request.set_tenant(std::string(tenant));
    v1::EraseResponse response;
    const grpc::Status status = Call(peer.channel(), &TenantAdmin::Stub::EraseTenant, request, &response);
    if (receipt != nullptr) *receipt = response.receipt();
    return status;
  }
  static grpc::Status EraseHome(Peer& peer, const Home& home, std::string_view tenant) {
    v1::EraseInstantiationRequest request;
    request.set_tenant(std::string(tenant));
    request.set_instantiation(home.id().ToString());
    v1::EraseResponse response;
    return Call(peer.channel(), &TenantAdmin::Stub::EraseInstantiation, request, &response);
  }
  static grpc::Status Rotate(Peer& peer, std::string_view tenant) {
    v1::RotateKeyRequest request;
    request.set_tenant(std::string(tenant));
    v1::RotateKeyResponse response;
    return Call(peer.channel(), &TenantAdmin::Stub::RotateKey, request, &response);
  }
  static grpc::Status Usage(Peer& peer, std::string_view tenant) {
    v1::UsageRequest request;
    request.set_tenant(std::string(tenant));
    v1::UsageResponse response;
    return Call(peer.channel(), &TenantAdmin::Stub::Usage, request, &response);
  }
  // Acme's erasure is under way, and stays so until go_on_.
  void BeginErasingAcme() {
    holds_ = true;
    eraser_ = std::thread([this, &peer = Operator()] { erased_ = EraseTenant(peer, kAcme, &receipt_); });
    held_.WaitForNotification();
  }

  const crypto::EcdsaKeyPair signer_ = *crypto::EcdsaKeyPair::Generate(RandomSource::System());
  std::atomic<bool> holds_ = false;
  absl::Notification held_;
  absl::Notification go_on_;
  std::thread eraser_;
  grpc::Status erased_;
  std::string receipt_;
  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  Home their_home_{kGlobex, Uri(kGlobex, Role::kApp, "spy")};
};

TEST_F(AdminTurnsTest, WhileOneTenantIsErasedTheOthersAreServed) {
  Peer& admin = As(kGlobex, Role::kAdmin, "eve");
  BeginErasingAcme();
  EXPECT_TRUE(Usage(admin, kGlobex).ok());
  EXPECT_TRUE(Usage(Operator(), kGlobex).ok());
  EXPECT_TRUE(Rotate(admin, kGlobex).ok());
  EXPECT_TRUE(Spy().FetchFrom(kGlobex, their_home_.id()).ok());
  Home another(kGlobex, Uri(kGlobex, Role::kApp, "spy"));
  Found(another, Spy());
  const Topic topic = Topic::Of(TopicKind::kCommand, another.owner());
  EXPECT_TRUE(Spy().Publish(Group(another, another.owner(), topic, 0, NewStream(), 0)).status.ok());
  EXPECT_TRUE(EraseHome(admin, their_home_, kGlobex).ok());

  // Of the same tenant one at a time.
  const grpc::Status again = EraseTenant(Operator(), kAcme);
  EXPECT_EQ(again.error_code(), kFull);
  EXPECT_EQ(LimitNameOf(FromGrpc(again)), "erasures");
  EXPECT_GT(RetryDelayOf(FromGrpc(again)), absl::ZeroDuration());
  go_on_.Notify();
  eraser_.join();
  EXPECT_TRUE(erased_.ok()) << erased_.error_message();
  EXPECT_FALSE(receipt_.empty());
  EXPECT_TRUE(EraseTenant(Operator(), kAcme).ok());
}

// Whoever names another tenant has no place in that tenant's line.
TEST_F(AdminTurnsTest, AStrangersErasureIsInNobodysWay) {
  const std::string theirs = EraseTenant(As(kGlobex, Role::kAdmin, "eve"), kAcme).error_message();
  BeginErasingAcme();
  const grpc::Status refused = EraseTenant(As(kGlobex, Role::kAdmin, "eve"), kAcme);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(refused.error_message(), theirs);  // and does not learn that one is under way
}

TEST_F(AdminTurnsTest, RotationsComeAtARateOfTheirTenant) {
  Peer& admin = As(kAcme, Role::kAdmin, "alice");
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Rotate(admin, kAcme).ok()) << i;
  for (Peer* const peer : {&admin, &Operator()}) {
    const grpc::Status refused = Rotate(*peer, kAcme);
    EXPECT_EQ(refused.error_code(), kFull);
    EXPECT_EQ(LimitNameOf(FromGrpc(refused)), "key_rotations");
    EXPECT_GT(RetryDelayOf(FromGrpc(refused)), absl::Seconds(1));
  }
  EXPECT_EQ(UsageOf(kAcme).refused().at("key_rotations"), 2u);
  EXPECT_TRUE(Rotate(Operator(), kGlobex).ok());
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(Rotate(admin, kAcme).ok());
  EXPECT_EQ(Rotate(admin, kAcme).error_code(), kFull);
}

}  // namespace
}  // namespace keystead::testing
