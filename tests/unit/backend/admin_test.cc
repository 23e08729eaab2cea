// Tenants, their limits and their usage, over real sockets.
#include <gmock/gmock.h>

#include <filesystem>

#include "core/identity/issuer.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/admin.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;
using v1::TenantAdmin;

constexpr auto kNotFound = grpc::StatusCode::NOT_FOUND;
constexpr auto kDenied = grpc::StatusCode::PERMISSION_DENIED;
constexpr auto kFull = grpc::StatusCode::RESOURCE_EXHAUSTED;

class AdminTest : public BackendTest {
 protected:
  AdminTest() { Furnish(home_); }

  template <class Request, class Response>
  static grpc::Status Call(Peer& peer,
                           grpc::Status (TenantAdmin::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                     Response*),
                           const Request& request, Response* response) {
    TenantAdmin::Stub stub(peer.channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    return (stub.*method)(&context, request, response);
  }
  grpc::Status SetLimits(Peer& peer, std::string_view tenant, const v1::TenantLimits& limits) {
    v1::SetLimitsRequest request;
    request.set_tenant(std::string(tenant));
    *request.mutable_limits() = limits;
    v1::SetLimitsResponse response;
    return Call(peer, &TenantAdmin::Stub::SetLimits, request, &response);
  }
  grpc::Status GetUsage(Peer& peer, std::string_view tenant, v1::UsageResponse* response) {
    v1::UsageRequest request;
    request.set_tenant(std::string(tenant));
    return Call(peer, &TenantAdmin::Stub::Usage, request, response);
  }
  grpc::Status Create(Peer& peer, std::string_view tenant, const std::string& ca_pem) {
    v1::CreateTenantRequest request;
    request.set_tenant(std::string(tenant));
    request.set_ca_pem(ca_pem);
    v1::CreateTenantResponse response;
    return Call(peer, &TenantAdmin::Stub::Create, request, &response);
  }
  std::vector<std::string> List(Peer& peer) {
    v1::ListTenantsResponse response;
    EXPECT_TRUE(Call(peer, &TenantAdmin::Stub::List, v1::ListTenantsRequest(), &response).ok());
    return {response.tenants().begin(), response.tenants().end()};
  }
  std::string FromBulb(uint64_t sequence, std::string_view cose = "sealed") const {
    return Group(home_, bulb_.entry.member, telemetry_, 1, stream_, sequence, cose);
  }

  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  const StreamId stream_ = NewStream();
  const Topic telemetry_ = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
};

TEST_F(AdminTest, ATenantThatIsCreatedIsLetInAtOnceAndAfterARestart) {
  constexpr char kInitech[] = "initech.keystead.example";
  TestPki pki;  // another provider's: the same admission must not matter, the key that is registered does
  keystead::testing::Run(std::string("cp -r ") + TestPki::Shared().folder() + "/admission " + pki.folder() +
                         "/admission.new");
  std::filesystem::remove_all(pki.folder() + "/admission");
  std::filesystem::rename(pki.folder() + "/admission.new", pki.folder() + "/admission");
  keystead::testing::Run(CertsCommand("make-pki") + " --out " + pki.folder() + " --tenant " + kInitech);
  const std::string ca = ReadAll(pki.tenant_folder(kInitech) + "/ca.pem");
  CertificateFiles files = pki.Leaf(kInitech, Role::kApp, "phone");
  files.roots = TestPki::Shared().provider_roots();
  const Home home(kInitech, Uri(kInitech, Role::kApp, "phone"));
  EXPECT_EQ(Peer(backend_->port(), files).FetchFrom(kInitech, home.id()).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);

  EXPECT_EQ(Create(Operator(), kInitech, "no certificate").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Create(Operator(), kInitech, ca).ok());
  EXPECT_TRUE(Create(Operator(), kInitech, ca).ok());
  EXPECT_EQ(Create(Operator(), kInitech, ReadAll(pki.tenant_folder(kAcme) + "/ca.pem")).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Create(Operator(), kAcme, ca).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Create(Operator(), kProvider, ca).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  for (int i = 0; i < 2; ++i) {
    Home own(kInitech, Uri(kInitech, Role::kApp, "phone"));
    EXPECT_TRUE(Peer(backend_->port(), files).Submit(own, own.Make()).ok());
    EXPECT_THAT(List(Operator()), ElementsAre(kAcme, kGlobex, kInitech));
    Restart();
  }
}

TEST_F(AdminTest, AdministratorsSeeTheirOwnTenantAndOperatorsAll) {
  Peer& admin = As(kAcme, Role::kAdmin, "alice");
  EXPECT_THAT(List(admin), ElementsAre(kAcme));
  EXPECT_THAT(List(Operator()), ElementsAre(kAcme, kGlobex));
  v1::UsageResponse usage;
  EXPECT_TRUE(GetUsage(admin, kAcme, &usage).ok());
  const size_t before = Events(SecurityEventKind::kNotPermitted);
  const grpc::Status theirs = GetUsage(admin, kGlobex, &usage);
  const grpc::Status nobodys = GetUsage(admin, "absent.example", &usage);
  const grpc::Status no_name = GetUsage(admin, "NOT A NAME", &usage);
  EXPECT_EQ(theirs.error_code(), kNotFound);
  for (const grpc::Status& other : {nobodys, no_name}) {
    EXPECT_EQ(other.error_code(), theirs.error_code());
    EXPECT_EQ(other.error_message(), theirs.error_message());
    EXPECT_EQ(other.error_details(), theirs.error_details());
  }
  EXPECT_EQ(Events(SecurityEventKind::kNotPermitted), before + 3);
  EXPECT_EQ(SetLimits(admin, kAcme, {}).error_code(), kDenied);
  EXPECT_EQ(Create(admin, "new.example", "").error_code(), kDenied);
  EXPECT_EQ(GetUsage(Phone(), kAcme, &usage).error_code(), kDenied);
  EXPECT_EQ(Operator().Publish(FromBulb(0)).code(), kDenied);  // the provider reads and writes nothing
  EXPECT_EQ(Operator().FetchFrom(kAcme, home_.id()).error_code(), kDenied);
}

TEST_F(AdminTest, LimitsCountFromTheNextRequestOnAndSurviveARestart) {
  v1::TenantLimits limits;
  limits.set_records_per_second(0.001);
  limits.set_records_burst(1);
  ASSERT_TRUE(SetLimits(Operator(), kAcme, limits).ok());
  EXPECT_TRUE(Bulb().Publish(FromBulb(0)).status.ok());
  for (int i = 0; i < 2; ++i) {
    const PublishResult refused = Bulb().Publish(FromBulb(1));
    EXPECT_EQ(refused.status.error_code(), kFull);
    EXPECT_EQ(LimitNameOf(FromGrpc(refused.status)), "records_per_second");
    EXPECT_GT(RetryDelayOf(FromGrpc(refused.status)), absl::Seconds(1));
    if (i == 0) {
      Restart();
      EXPECT_TRUE(Bulb().Publish(FromBulb(0)).status.ok());  // the burst of the new process
    }
  }
  EXPECT_EQ(UsageOf(kAcme).refused().at("records_per_second"), 1u);
  EXPECT_EQ(UsageOf(kGlobex).refused_size(), 0);
  ASSERT_TRUE(SetLimits(Operator(), kAcme, {}).ok());
  EXPECT_TRUE(Bulb().Publish(FromBulb(1)).status.ok());

  v1::TenantLimits wrong;
  wrong.set_weight(-1);
  EXPECT_EQ(SetLimits(Operator(), kAcme, wrong).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminTest, OpenCallsAndSubscriptionsAreLimited) {
  v1::TenantLimits limits;
  limits.set_connections(1);
  limits.set_subscriptions(1);
  ASSERT_TRUE(SetLimits(Operator(), kAcme, limits).ok());
  {
    const auto open = Phone().Subscribe(home_, {telemetry_});
    ASSERT_TRUE(open->CaughtUp());
    const v1::UsageResponse usage = UsageOf(kAcme);
    EXPECT_EQ(usage.connections(), 1u);
    EXPECT_EQ(usage.streams(), 1u);
    EXPECT_EQ(usage.subscriptions(), 1u);
    EXPECT_EQ(LimitNameOf(FromGrpc(Console().Subscribe(home_, {telemetry_})->End())), "subscriptions");
    EXPECT_EQ(LimitNameOf(FromGrpc(Bulb().Publish(FromBulb(0)).status)), "connections");
  }
  while (UsageOf(kAcme).streams() > 0) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_TRUE(Bulb().Publish(FromBulb(0)).status.ok());
  EXPECT_GE(Events(SecurityEventKind::kLimitExceeded), 2u);
}

TEST_F(AdminTest, WhatIsStoredIsCountedExactly) {
  const uint64_t keyring = UsageOf(kAcme).stored_bytes();
  const uint64_t commits = UsageOf(kAcme).stored_groups();
  EXPECT_GT(keyring, 0u);
  uint64_t sent = 0;
  for (uint64_t sequence = 0; sequence < 5; ++sequence) {
    const std::string group = FromBulb(sequence, std::string(100 + sequence, 'x'));
    sent += group.size();
    ASSERT_TRUE(Bulb().Publish(group).status.ok());
    ASSERT_TRUE(Bulb().Publish(group).status.ok());  // a duplicate takes no space
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(UsageOf(kAcme).stored_bytes(), keyring + sent);
    EXPECT_EQ(UsageOf(kAcme).stored_groups(), commits + 5);
    EXPECT_EQ(UsageOf(kAcme).instantiations(), 1u);
    EXPECT_EQ(UsageOf(kGlobex).stored_bytes(), 0u);
    Restart();
    EXPECT_NE(Stranger().Publish(FromBulb(9)).code(),
              grpc::StatusCode::OK);  // stores nothing, counts nothing
  }
  v1::TenantLimits limits;
  limits.set_stored_bytes(keyring + sent + 10);
  ASSERT_TRUE(SetLimits(Operator(), kAcme, limits).ok());
  EXPECT_EQ(LimitNameOf(FromGrpc(Bulb().Publish(FromBulb(5)).status)), "stored_bytes");
}

}  // namespace
}  // namespace keystead::testing
