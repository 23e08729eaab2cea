// Enrollment through the balancer: whatever a courier does to it, nobody gets a certificate that he should
// not have, and nobody installs one that is not his.
#include <chrono>
#include <thread>

#include "core/identity/certificate_files.h"
#include "core/identity/enrollment.h"
#include "core/transport/enroller.h"
#include "tests/unit/infra_sim/fixtures.h"
#include "tests/unit/infra_sim/hop_fixture.h"

namespace keystead::infra {
namespace {

using testing::kAcme;
using testing::kGlobex;

class EnrollmentPassTest : public HopTest {
 protected:
  EnrollmentPassTest() {
    StartBalancer();
    channel_ = Client(kAcme, Role::kFactory);
  }
  PreparedEnrollment Prepare(const std::string& name = "device.one") {
    auto prepared = PrepareEnrollment(pki_.Leaf(kAcme, Role::kFactory, name), absl::Now());
    EXPECT_TRUE(prepared.ok()) << prepared.status();
    return *std::move(prepared);
  }
  grpc::Status Enroll(const PreparedEnrollment& prepared, std::string& chain, int milliseconds = 10'000) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(milliseconds));
    v1::EnrollRequest request;
    request.set_factory_chain(prepared.request.factory_chain);
    request.set_proof(ToString(prepared.request.proof));
    v1::EnrollResponse response;
    const grpc::Status status = v1::Enrollment::NewStub(channel_)->Enroll(&context, request, &response);
    chain = response.chain();
    return status;
  }
  grpc::StatusCode Attempt(int milliseconds = 10'000) {
    std::string chain;
    return Enroll(Prepare(), chain, milliseconds).error_code();
  }
  // What a client says who is about to install this answer.
  static absl::Status Installed(const PreparedEnrollment& prepared, const std::string& chain) {
    return ValidateCertificatePair(chain, prepared.key_pem, absl::Now()).status();
  }
  uint64_t ArmOnce(v1::AttackKind kind, const std::string& prefix,
                   v1::AttackTarget target = v1::TARGET_UNSPECIFIED) {
    v1::ArmRequest attack = Attack(kind, target);
    attack.set_topic_prefix(prefix);
    attack.set_count(1);
    return Arm(attack);
  }
  v1::Injection LastInjection() {
    const v1::InjectionsResponse all = engine_.Injections(0);
    EXPECT_GT(all.injections_size(), 0);
    return all.injections_size() == 0 ? v1::Injection() : *all.injections().rbegin();
  }

  const std::string request_{kEnrollmentRequestTopic};
  const std::string chain_{kEnrollmentChainTopic};
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(EnrollmentPassTest, UnarmedAFactoryIdentityEnrollsThroughIt) {
  Arm(Attack(v1::ATTACK_DROP));  // all records of topics; a proof is none
  const PreparedEnrollment prepared = Prepare();
  std::string chain;
  const grpc::Status status = Enroll(prepared, chain);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(Installed(prepared, chain).ok());
  // And may do nothing else there.
  grpc::ClientContext context;
  v1::PutResponse response;
  EXPECT_EQ(v1::Rendezvous::NewStub(channel_)->Put(&context, v1::PutRequest(), &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(EnrollmentPassTest, NoPartOfARequestMayBeChanged) {
  for (const v1::AttackTarget target :
       {v1::TARGET_COSE_PROTECTED, v1::TARGET_COSE_CIPHERTEXT, v1::TARGET_COSE_TAG, v1::TARGET_SENDER}) {
    ArmOnce(v1::ATTACK_MODIFY, request_, target);
    EXPECT_NE(Attempt(), grpc::StatusCode::OK) << v1::AttackTarget_Name(target);
    EXPECT_EQ(LastInjection().target(), target);
    EXPECT_NE(LastInjection().refused_code(), 0u) << v1::AttackTarget_Name(target);
  }
  ArmOnce(v1::ATTACK_TRUNCATE, request_);
  EXPECT_NE(Attempt(), grpc::StatusCode::OK);
  EXPECT_EQ(Attempt(), grpc::StatusCode::OK) << "the attacks are spent";
}

TEST_F(EnrollmentPassTest, AProofCountsForNoOtherIdentity) {
  std::string chain;
  ASSERT_TRUE(Enroll(Prepare("device.two"), chain).ok());
  ArmOnce(v1::ATTACK_SPLICE, request_, v1::TARGET_SENDER);
  EXPECT_EQ(Attempt(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(EnrollmentPassTest, ForgedAndRepeatedRequestsGainNothing) {
  ArmOnce(v1::ATTACK_FORGE, request_);
  EXPECT_EQ(Attempt(), grpc::StatusCode::OK) << "the genuine one is answered";
  // The forged one is answered on its own, and nobody waits for that.
  const absl::Time patience = absl::Now() + absl::Seconds(20);
  while (LastInjection().refused_code() == 0 && absl::Now() < patience) std::this_thread::yield();
  EXPECT_EQ(LastInjection().refused_code(), static_cast<int>(grpc::StatusCode::UNAUTHENTICATED));
  // A request that comes again is answered with a certificate for the key that its first sender holds.
  ArmOnce(v1::ATTACK_REPLAY, request_);
  const PreparedEnrollment prepared = Prepare();
  std::string chain;
  ASSERT_TRUE(Enroll(prepared, chain).ok());
  EXPECT_TRUE(Installed(prepared, chain).ok());
}

TEST_F(EnrollmentPassTest, AWithheldRequestIsAFailureAndAnInventedAnswerIsNotInstalled) {
  ArmOnce(v1::ATTACK_DROP, request_);
  EXPECT_EQ(Attempt(400), grpc::StatusCode::DEADLINE_EXCEEDED);
  ArmOnce(v1::ATTACK_ACK_AND_DROP, request_);
  const PreparedEnrollment prepared = Prepare();
  std::string chain;
  ASSERT_TRUE(Enroll(prepared, chain).ok());
  EXPECT_FALSE(Installed(prepared, chain).ok());
}

TEST_F(EnrollmentPassTest, AChainForAnotherKeyIsNotInstalled) {
  std::string first;
  ASSERT_TRUE(Enroll(Prepare(), first).ok());
  ArmOnce(v1::ATTACK_REPLAY, chain_);
  const PreparedEnrollment prepared = Prepare();
  std::string swapped;
  ASSERT_TRUE(Enroll(prepared, swapped).ok());
  EXPECT_EQ(swapped, first);
  EXPECT_FALSE(Installed(prepared, swapped).ok());
  ArmOnce(v1::ATTACK_TRUNCATE, chain_);
  std::string cut;
  ASSERT_TRUE(Enroll(prepared, cut).ok());
  EXPECT_NE(cut, first);
}

TEST_F(EnrollmentPassTest, AProductBehindALyingCourierKeepsWhatItHasAndComesThroughLater) {
  const std::string folder = pki_.NewFolder();
  EnrollingIdentity bulb;
  bulb.factory = pki_.Leaf(kAcme, Role::kFactory, "device.one");
  bulb.operational = {folder + "/chain.pem", folder + "/key.pem", pki_.provider_roots()};
  ManualClock clock(absl::Now());
  Enroller::Options options;
  options.next_hop = "127.0.0.1:" + std::to_string(balancer_->port());
  options.server = *PeerExpectation::Parse("spiffe://provider-one.example/service/backend");
  options.clock = &clock;
  const auto enroller = *Enroller::Create(options, {bulb});
  const auto turn = [&] { return enroller->AwaitAll(absl::ZeroDuration(), [] { return false; }); };
  ASSERT_TRUE(turn());
  const std::string first = testing::ReadAll(bulb.operational.chain);

  clock.Advance(absl::Hours(19));  // of the 24 for which certificates of this fixture are good
  const auto info = ValidateCertificateFiles(bulb.operational, clock.Now());
  ASSERT_TRUE(info.ok()) << info.status();
  ArmOnce(v1::ATTACK_REPLAY, chain_);  // a genuine chain for the key before
  EXPECT_TRUE(turn()) << "it still has a good one";
  EXPECT_EQ(enroller->GetStats().failed, 1u);
  EXPECT_EQ(testing::ReadAll(bulb.operational.chain), first);
  clock.Advance(absl::Minutes(10));
  EXPECT_TRUE(turn());
  EXPECT_EQ(enroller->GetStats().installed, 2u);
  EXPECT_NE(testing::ReadAll(bulb.operational.chain), first);
}

TEST_F(EnrollmentPassTest, ATenantWithoutAnUpstreamHereEnrollsNowhere) {
  balancer_.reset();
  StartBalancer(false);
  channel_ = Client(kGlobex, Role::kFactory);
  EXPECT_EQ(Attempt(), grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace keystead::infra
