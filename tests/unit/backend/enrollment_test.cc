// A product's way from its factory identity to an operational certificate, at a real backend over mutual TLS.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "core/base/random.h"
#include "core/identity/certificate_files.h"
#include "core/identity/enrollment.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/enrollment.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

const MailboxName kBox = RandomSource::System().NewId<MailboxName>();

class BackendEnrollmentTest : public BackendTest {
 protected:
  BackendEnrollmentTest() {
    deny_list_ = TestPki::Shared().NewFolder() + "/deny";
    Deny("");
    options_.deny_list = deny_list_;
    options_.enrollment.folder = TestPki::Shared().folder() + "/tenants";
    options_.tick = absl::Milliseconds(20);
    Restart();
  }
  void Deny(const std::string& lines) { std::ofstream(deny_list_, std::ios::trunc) << lines; }

  static CertificateFiles FactoryOf(const std::string& name, std::string_view tenant = kAcme) {
    return TestPki::Shared().Leaf(tenant, Role::kFactory, name);
  }
  static PreparedEnrollment Prepare(const CertificateFiles& factory) {
    auto prepared = PrepareEnrollment(factory, absl::Now());
    EXPECT_TRUE(prepared.ok()) << prepared.status();
    return *std::move(prepared);
  }
  static grpc::Status Enroll(Peer& peer, const EnrollmentRequest& request, std::string* chain = nullptr) {
    v1::EnrollRequest message;
    message.set_factory_chain(request.factory_chain);
    message.set_proof(ToString(request.proof));
    v1::EnrollResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const grpc::Status status = v1::Enrollment::NewStub(peer.channel())->Enroll(&context, message, &response);
    if (chain != nullptr) *chain = response.chain();
    return status;
  }
  // The files of an operational certificate that `peer` brought home.
  CertificateFiles Enrolled(Peer& peer, const CertificateFiles& factory) {
    PreparedEnrollment prepared = Prepare(factory);
    std::string chain;
    const grpc::Status status = Enroll(peer, prepared.request, &chain);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return TestPki::Shared().Store({std::move(prepared.key_pem), chain}, TestPki::Shared().provider_roots());
  }
  // What every operational peer may.
  grpc::StatusCode Use(Peer& peer) { return peer.Put(kBox, "x").error_code(); }

  std::string deny_list_;
};

TEST_F(BackendEnrollmentTest, AFactoryIdentityEnrollsAndMayDoNothingElse) {
  const CertificateFiles factory = FactoryOf("device.bulb-9");
  Peer before(backend_->port(), factory);
  EXPECT_EQ(Use(before), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(before.FetchFrom(kAcme, RandomSource::System().NewId<InstantiationId>()).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  const CertificateFiles files = Enrolled(before, factory);
  const auto info = ValidateCertificateFiles(files, absl::Now());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->id.str(), Uri(kAcme, Role::kDevice, "bulb-9"));
  EXPECT_LE(info->not_after, absl::Now() + options_.enrollment.lifetime);
  Peer after(backend_->port(), files);
  EXPECT_EQ(Use(after), grpc::StatusCode::OK);
}

TEST_F(BackendEnrollmentTest, ACourierOfTheTenantBringsARequestAndGainsNothing) {
  Peer hall(backend_->port(), TestPki::Shared().Leaf(kAcme, Role::kGateway, "hall"));
  Peer bulb(backend_->port(), Enrolled(hall, FactoryOf("device.bulb-8")));
  EXPECT_EQ(Use(bulb), grpc::StatusCode::OK);
  Peer gateway(backend_->port(), Enrolled(hall, FactoryOf("gateway.attic")));
  EXPECT_EQ(Use(gateway), grpc::StatusCode::OK);
  // A replay is answered with a certificate for the key that the replayer does not have.
  PreparedEnrollment prepared = Prepare(FactoryOf("device.bulb-8"));
  std::string chain;
  std::string again;
  ASSERT_TRUE(Enroll(hall, prepared.request, &chain).ok());
  ASSERT_TRUE(Enroll(hall, prepared.request, &again).ok());
  EXPECT_NE(chain, again);
  EXPECT_TRUE(ValidateCertificatePair(again, prepared.key_pem, absl::Now()).ok());
}

TEST_F(BackendEnrollmentTest, ALapsedCertificateIsRenewedWithTheFactoryIdentity) {
  LeafRequest lapsed = TestPki::Shared().Request(Uri(kAcme, Role::kDevice, "bulb-7"));
  lapsed.not_before = absl::Now() - absl::Hours(48);
  lapsed.not_after = absl::Now() - absl::Hours(24);
  TestPki& pki = TestPki::Shared();
  const CertificateFiles old = pki.Store(*pki.EnrollmentIssuer(kAcme).Issue(lapsed), pki.provider_roots());
  EXPECT_EQ(ValidateCertificateFiles(old, absl::Now()).status().code(), absl::StatusCode::kFailedPrecondition)
      << "nothing can be done with it any more";
  const CertificateFiles factory = FactoryOf("device.bulb-7");
  Peer factory_peer(backend_->port(), factory);
  Peer back(backend_->port(), Enrolled(factory_peer, factory));
  EXPECT_EQ(Use(back), grpc::StatusCode::OK);
}

TEST_F(BackendEnrollmentTest, NobodyEnrollsForAnotherTenant) {
  Peer globex(backend_->port(), TestPki::Shared().Leaf(kGlobex, Role::kGateway, "hall"));
  const size_t before = Events(SecurityEventKind::kNotPermitted);
  EXPECT_EQ(Enroll(globex, Prepare(FactoryOf("device.bulb-6")).request).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Events(SecurityEventKind::kNotPermitted), before + 1);
  // An enrollment key of A that names B gets nowhere: TLS holds its name constraint.
  TestPki& pki = TestPki::Shared();
  const auto forged = pki.EnrollmentIssuer(kGlobex).Issue(pki.Request(Uri(kAcme, Role::kDevice, "bulb-6")));
  Peer forger(backend_->port(), pki.Store(*forged, pki.provider_roots()));
  EXPECT_EQ(Use(forger), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(BackendEnrollmentTest, AStolenEnrollmentKeyIsNoOwnerAndNoAdministrator) {
  TestPki& pki = TestPki::Shared();
  for (const Role role : {Role::kApp, Role::kAdmin, Role::kService, Role::kThirdParty, Role::kFactory}) {
    const auto forged = pki.EnrollmentIssuer(kAcme).Issue(pki.Request(Uri(kAcme, role, "device.x")));
    Peer forger(backend_->port(), pki.Store(*forged, pki.provider_roots()));
    const size_t before = Events(SecurityEventKind::kIssuerMismatch);
    EXPECT_EQ(Use(forger), grpc::StatusCode::UNAUTHENTICATED) << RoleName(role);
    EXPECT_EQ(Events(SecurityEventKind::kIssuerMismatch), before + 1);
  }
}

TEST_F(BackendEnrollmentTest, AStrangerLearnsNeitherOfATenantNorOfItsKey) {
  const CertificateFiles factory = FactoryOf("device.bulb-5");
  const auto ask = [&](const CertificateFiles& caller) {
    Peer peer(backend_->port(), caller);
    return Enroll(peer, Prepare(factory).request);
  };
  const CertificateFiles stranger = TestPki::Shared().Leaf(kGlobex, Role::kGateway, "hall");
  std::vector<grpc::Status> answers = {ask(stranger)};
  options_.enrollment.folder = "";
  Restart();
  answers.push_back(ask(stranger));
  EXPECT_EQ(ask(factory).error_code(), grpc::StatusCode::NOT_FOUND);  // its own tenant's product may know
  options_.tenants_folder = "";
  options_.tenants = {absl::StrCat(kGlobex, "=", TestPki::Shared().tenant_folder(kGlobex), "/ca.pem")};
  Restart();
  answers.push_back(ask(stranger));
  for (const grpc::Status& answer : answers) {
    EXPECT_EQ(answer.error_code(), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(answer.error_message(), answers[0].error_message());
  }
}

TEST_F(BackendEnrollmentTest, OneIdentityAsksSoOften) {
  const CertificateFiles factory = FactoryOf("device.bulb-4");
  Peer peer(backend_->port(), factory);
  for (int i = 0; i < static_cast<int>(options_.enrollment.certificates_of_one.burst); ++i)
    ASSERT_TRUE(Enroll(peer, Prepare(factory).request).ok());
  const absl::Status refused = FromGrpc(Enroll(peer, Prepare(factory).request));
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(LimitNameOf(refused), "certificates");
  EXPECT_EQ(RetryDelayOf(refused), absl::Seconds(600));
  const CertificateFiles other = FactoryOf("device.bulb-3");
  Peer neighbour(backend_->port(), other);
  EXPECT_TRUE(Enroll(neighbour, Prepare(other).request).ok());
}

TEST_F(BackendEnrollmentTest, WithdrawingTheKeyEndsWhatIsOpenAndLetsNobodyIn) {
  const CertificateFiles factory = FactoryOf("device.bulb-2");
  Peer first(backend_->port(), factory);
  const CertificateFiles files = Enrolled(first, factory);
  Peer bulb(backend_->port(), files);
  grpc::ClientContext context;
  const auto stream = bulb.transport().Publish(&context);
  stream->WaitForInitialMetadata();
  const std::string issuer = keystead::testing::Run(
      "openssl x509 -in '" + TestPki::Shared().tenant_folder(kAcme) +
      "/enrollment/ca.pem' -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | "
      "cut -c1-64");
  Deny(absl::StrCat("tenant ", kAcme, "\nissuer ", issuer.substr(0, 64), "\n"));
  v1::PublishResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  Peer again(backend_->port(), files);
  EXPECT_EQ(Use(again), grpc::StatusCode::UNAUTHENTICATED);
  // The factory identity is not below that key: the product comes back as soon as there is another.
  Deny("");
  PreparedEnrollment prepared = Prepare(factory);
  const absl::Time patience = absl::Now() + absl::Seconds(20);
  while (Use(again) != grpc::StatusCode::OK && absl::Now() < patience) std::this_thread::yield();
  EXPECT_TRUE(Enroll(first, prepared.request).ok());
}

// The folders are the tenant's to change while the backend runs.
TEST_F(BackendEnrollmentTest, AKeyThatIsTakenAwayIssuesNoMoreAndOneThatIsPutThereDoes) {
  const std::string folder = TestPki::Shared().NewFolder();
  std::filesystem::copy(TestPki::Shared().folder() + "/tenants", folder,
                        std::filesystem::copy_options::recursive);
  options_.enrollment.folder = folder;
  Restart();
  const CertificateFiles factory = FactoryOf("device.bulb-1");
  Peer peer(backend_->port(), factory);
  ASSERT_TRUE(Enroll(peer, Prepare(factory).request).ok());
  const std::string keys = absl::StrCat(folder, "/", kAcme, "/enrollment");
  std::filesystem::rename(keys, keys + ".away");
  backend_->Tick();
  EXPECT_EQ(Enroll(peer, Prepare(factory).request).error_code(), grpc::StatusCode::NOT_FOUND);
  // Half of one is none, and a key that does not fit the certificate is none either.
  std::filesystem::create_directory(keys);
  std::filesystem::copy(keys + ".away/ca.pem", keys + "/ca.pem");
  std::filesystem::copy(keys + ".away/chain.pem", keys + "/chain.pem");
  backend_->Tick();
  EXPECT_EQ(Enroll(peer, Prepare(factory).request).error_code(), grpc::StatusCode::NOT_FOUND);
  std::filesystem::copy(absl::StrCat(folder, "/", kGlobex, "/enrollment/ca.key"), keys + "/ca.key");
  backend_->Tick();
  EXPECT_EQ(Enroll(peer, Prepare(factory).request).error_code(), grpc::StatusCode::NOT_FOUND);
  std::filesystem::remove(keys + "/ca.key");
  std::filesystem::copy(keys + ".away/ca.key", keys + "/ca.key");
  backend_->Tick();
  EXPECT_TRUE(Enroll(peer, Prepare(factory).request).ok());
  // What is wrong later leaves the key that counts.
  WriteAll(keys + "/ca.pem", "damaged");
  backend_->Tick();
  EXPECT_TRUE(Enroll(peer, Prepare(factory).request).ok());
}

TEST_F(BackendEnrollmentTest, ATenantWhoseCaIsTakenAwayIsOutUntilItIsBack) {
  const std::string folder = TestPki::Shared().NewFolder();
  std::filesystem::copy(TestPki::Shared().folder() + "/tenants", folder,
                        std::filesystem::copy_options::recursive);
  options_.tenants_folder = folder;
  Restart();
  Peer bulb(backend_->port(), TestPki::Shared().Leaf(kAcme, Role::kDevice, "bulb"));
  grpc::ClientContext context;
  const auto stream = bulb.transport().Publish(&context);
  stream->WaitForInitialMetadata();
  const std::string ca = absl::StrCat(folder, "/", kAcme, "/ca.pem");
  std::filesystem::rename(ca, ca + ".away");
  backend_->Tick();
  v1::PublishResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Use(bulb), grpc::StatusCode::UNAUTHENTICATED);
  std::filesystem::rename(ca + ".away", ca);
  backend_->Tick();
  EXPECT_EQ(Use(bulb), grpc::StatusCode::OK);
  // A folder that is not there for a moment puts nobody out.
  std::filesystem::rename(folder, folder + ".away");
  backend_->Tick();
  EXPECT_EQ(Use(bulb), grpc::StatusCode::OK);
  std::filesystem::rename(folder + ".away", folder);
}

}  // namespace
}  // namespace keystead::testing
