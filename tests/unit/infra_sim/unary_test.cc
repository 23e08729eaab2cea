// Registry and Rendezvous through the balancer.
#include <chrono>

#include "infra-sim/cose_regions.h"
#include "tests/unit/infra_sim/fixtures.h"
#include "tests/unit/infra_sim/hop_fixture.h"

namespace keystead::infra {
namespace {

class UnaryTest : public HopTest {
 protected:
  UnaryTest() {
    StartBalancer();
    channel_ = Client(testing::kAcme, Role::kApp);
    registry_ = v1::Registry::NewStub(channel_);
    rendezvous_ = v1::Rendezvous::NewStub(channel_);
  }
  v1::ArmRequest Named(v1::AttackKind kind, const std::string& prefix,
                       v1::AttackTarget target = v1::TARGET_UNSPECIFIED) {
    auto attack = Attack(kind, target);
    attack.set_topic_prefix(prefix);
    return attack;
  }
  grpc::Status Submit(v1::SubmitCommitResponse& response, int milliseconds = 10'000) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(milliseconds));
    v1::SubmitCommitRequest request;
    request.set_tenant(testing::kAcme);
    request.set_instantiation(std::string(16, 1));
    request.set_bundle(bundle_);
    return registry_->Submit(&context, request, &response);
  }
  v1::FetchCommitsResponse Fetch() {
    grpc::ClientContext context;
    v1::FetchCommitsResponse response;
    EXPECT_TRUE(registry_->Fetch(&context, v1::FetchCommitsRequest(), &response).ok());
    return response;
  }

  const std::string bundle_ = SignedCose();
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Registry::Stub> registry_;
  std::unique_ptr<v1::Rendezvous::Stub> rendezvous_;
};

TEST_F(UnaryTest, UnarmedPassesThroughAlsoWhenRecordsAreUnderAttack) {
  Arm(Attack(v1::ATTACK_DROP));  // all records of topics; a bundle is none
  v1::SubmitCommitResponse response;
  ASSERT_TRUE(Submit(response).ok());
  EXPECT_EQ(response.epoch(), 7u);
  EXPECT_EQ(next_.submitted(), std::vector<std::string>{bundle_});
}

TEST_F(UnaryTest, ModifiedBundleStaysCborAndIsLogged) {
  Arm(Named(v1::ATTACK_MODIFY, "registry", v1::TARGET_COSE_CIPHERTEXT));
  v1::SubmitCommitResponse response;
  ASSERT_TRUE(Submit(response).ok());
  ASSERT_EQ(next_.submitted().size(), 1u);
  EXPECT_NE(next_.submitted()[0], bundle_);
  EXPECT_TRUE(IsCbor(next_.submitted()[0]));
  EXPECT_EQ(engine_.Injections(0).injections_size(), 1);
}

TEST_F(UnaryTest, DroppedBundleIsNeverAnsweredAndSwallowedOneIsAnsweredWithALie) {
  auto drop = Named(v1::ATTACK_DROP, "registry");
  drop.set_count(1);
  Arm(drop);
  v1::SubmitCommitResponse response;
  EXPECT_EQ(Submit(response, 400).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  drop.set_delay_ms(50);
  Arm(drop);
  EXPECT_EQ(Submit(response).error_code(), grpc::StatusCode::UNAVAILABLE);
  Arm(Named(v1::ATTACK_ACK_AND_DROP, "registry"));
  EXPECT_TRUE(Submit(response).ok());
  EXPECT_EQ(response.head().size(), 32u);
  EXPECT_TRUE(next_.submitted().empty());
}

TEST_F(UnaryTest, FetchedBundlesAreForgedDroppedAndReordered) {
  next_.bundles = {SignedCose(), SignedCose(), SignedCose()};
  const auto genuine = Fetch();
  ASSERT_EQ(genuine.bundles_size(), 3);
  auto one = Named(v1::ATTACK_DROP, "registry");
  one.set_direction("down");
  one.set_count(1);
  Arm(one);
  EXPECT_EQ(Fetch().bundles_size(), 2);
  one.set_kind(v1::ATTACK_REORDER);
  Arm(one);
  const auto swapped = Fetch();
  ASSERT_EQ(swapped.bundles_size(), 3);
  EXPECT_EQ(swapped.bundles(0), genuine.bundles(1));
  EXPECT_EQ(swapped.bundles(1), genuine.bundles(0));
  one.set_kind(v1::ATTACK_FORGE);
  Arm(one);
  const auto forged = Fetch();
  ASSERT_EQ(forged.bundles_size(), 4);
  EXPECT_TRUE(LocateRegions(forged.bundles(1)).has_value());
  EXPECT_NE(forged.bundles(1), forged.bundles(0));
}

TEST_F(UnaryTest, RendezvousMessagesAreTruncatedAndRefusalsNoted) {
  v1::PutRequest request;
  request.set_box(std::string(16, 5));
  request.set_message("genuine message");
  v1::PutResponse response;
  grpc::ClientContext first, second;
  EXPECT_TRUE(rendezvous_->Put(&first, request, &response).ok());
  Arm(Named(v1::ATTACK_TRUNCATE, "rendezvous"));
  EXPECT_EQ(rendezvous_->Put(&second, request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_EQ(engine_.Injections(0).injections_size(), 1);
  EXPECT_EQ(engine_.Injections(0).injections(0).refused_code(), 3);
  EXPECT_EQ(engine_.Injections(0).injections(0).sender(), std::string(16, 5));
}

TEST_F(UnaryTest, WaitingCallEndsWithItsCaller) {
  v1::AwaitRequest request;
  request.set_box(std::string(16, 5));
  v1::AwaitResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
  EXPECT_EQ(rendezvous_->Await(&context, request, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  balancer_->Shutdown(absl::Seconds(10));
}

}  // namespace
}  // namespace keystead::infra
