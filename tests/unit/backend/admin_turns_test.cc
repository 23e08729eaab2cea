// One tenant's erasure and one tenant's rotations are no other tenant's business.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

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

// Calls of which each names a tenant that is not there, so that the security log says in which order they
// were worked on; the first is held there.
class NotedCalls {
 public:
  void Ask(Peer& peer, size_t times) {
    const auto stub = TenantAdmin::NewStub(peer.channel());
    for (size_t i = 0; i < times; ++i) {
      auto& call = *calls_.emplace_back(std::make_unique<OneCall>());
      call.context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
      call.request.set_tenant("nobody.keystead.example");
      {
        absl::MutexLock lock(&mutex_);
        ++under_way_;
      }
      stub->async()->Usage(&call.context, &call.request, &call.response, [this](const grpc::Status&) {
        absl::MutexLock lock(&mutex_);
        --under_way_;
      });
    }
  }
  void AwaitFirst() { first_.WaitForNotification(); }
  // Refused calls never get into the line: when so many are, all others have.
  void AwaitRefused(const std::string& peer, size_t times) {
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return refused_[peer] >= times; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&enough));
  }
  // Lets the first one go; whose calls were worked on, in their order.
  std::vector<std::string> Finish() {
    go_on_.Notify();
    const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return under_way_ == 0; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&none));
    return order_;
  }

 private:
  struct OneCall {
    grpc::ClientContext context;
    v1::UsageRequest request;
    v1::UsageResponse response;
  };
  void Observe(const SecurityEvent& event) {
    bool is_first = false;
    {
      absl::MutexLock lock(&mutex_);
      if (event.kind == SecurityEventKind::kLimitExceeded) ++refused_[event.peer];
      if (event.kind != SecurityEventKind::kNotPermitted) return;
      order_.push_back(event.peer);
      is_first = order_.size() == 1;
    }
    if (!is_first) return;
    first_.Notify();
    go_on_.WaitForNotification();
  }

  absl::Notification first_;
  absl::Notification go_on_;
  std::vector<std::unique_ptr<OneCall>> calls_;
  absl::Mutex mutex_;
  size_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> order_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, size_t> refused_ ABSL_GUARDED_BY(mutex_);
  const SecurityEventTap tap_{[this](const SecurityEvent& event) { Observe(event); }};
};

TEST_F(AdminTurnsTest, ATenantsManyCallsAreNotBeforeThoseOfAnother) {
  constexpr size_t kPlaces = 64;  // of a tenant
  constexpr size_t kMore = 8;
  const std::string alice = Uri(kAcme, Role::kAdmin, "alice");
  const std::string eve = Uri(kGlobex, Role::kAdmin, "eve");
  NotedCalls calls;
  calls.Ask(As(kAcme, Role::kAdmin, "alice"), 1);
  calls.AwaitFirst();
  calls.Ask(As(kAcme, Role::kAdmin, "alice"), kPlaces - 1 + kMore);
  calls.AwaitRefused(alice, kMore);
  calls.Ask(As(kGlobex, Role::kAdmin, "eve"), kPlaces + kMore);
  calls.AwaitRefused(eve, kMore);
  const std::vector<std::string> order = calls.Finish();
  ASSERT_EQ(order.size(), 2 * kPlaces);
  const auto first_of_eve = std::find(order.begin(), order.end(), eve);
  EXPECT_LE(first_of_eve - order.begin(), 2);
  EXPECT_GE(std::count(order.begin(), order.begin() + kPlaces / 2, eve), kPlaces / 8) << "and so it goes on";
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
