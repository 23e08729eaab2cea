// Certificates that change under a running server. The watcher looks once a second and tells nobody when it
// did, so the tests try new connections until one shows the change.
#include <gtest/gtest.h>

#include <functional>

#include "absl/time/clock.h"
#include "tests/unit/transport/test_server.h"

namespace keystead {
namespace {

using testing::Check;
using testing::Connect;
using testing::ConnectRaw;
using testing::kAcme;
using testing::kBackendId;
using testing::OpenPublish;
using testing::ReadAll;
using testing::Tenant;
using testing::TestPki;
using testing::TestServer;

constexpr char kDevice[] = "spiffe://acme.keystead.example/device/d1";

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time until = absl::Now() + absl::Seconds(15);
  while (absl::Now() < until) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(50));
  }
  return false;
}

class TlsReloadTest : public ::testing::Test {
 protected:
  TlsReloadTest() {
    LeafRequest request = pki_.Request(kBackendId);
    request.server = true;
    request.dns_names = {"localhost"};  // for the raw client, which compares host names
    files_ = pki_.Store(*pki_.Issuer(pki_.folder() + "/provider").Issue(request), pki_.admission_roots());
  }
  // The leaf that a new connection meets, in PEM; empty when the handshake fails.
  std::string LeafNow(const TestServer& server) {
    const auto stub =
        v1::Transport::NewStub(Connect(server.address(), pki_.Leaf(kAcme, Role::kDevice, "d1")));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    const auto stream = stub->Publish(&context);
    v1::PublishResponse response;
    const bool works = stream->Write(v1::PublishRequest()) && stream->Read(&response);
    std::string leaf;
    if (works) {
      const auto values = context.auth_context()->FindPropertyValues("x509_pem_cert");
      if (values.size() == 1) leaf = std::string(values[0].data(), values[0].size());
    }
    context.TryCancel();
    stream->Finish();
    return leaf;
  }

  TestPki& pki_ = TestPki::Shared();
  CertificateFiles files_;
};

TEST_F(TlsReloadTest, ANewLeafCountsForNewConnectionsAndOpenStreamsGoOn) {
  const TestServer server(files_);
  OpenPublish open(Connect(server.address(), pki_.Leaf(kAcme, Role::kDevice, "d1")));
  ASSERT_TRUE(open.Works());
  const std::string first = LeafNow(server);
  ASSERT_FALSE(first.empty());

  LeafRequest request = pki_.Request(kBackendId);
  request.server = true;
  const IssuedLeaf next = *pki_.Issuer(pki_.folder() + "/provider").Issue(request);
  ASSERT_TRUE(InstallCertificatePair(files_, next.chain_pem, next.key_pem, absl::Now()).ok());
  EXPECT_TRUE(Eventually([&] { return LeafNow(server) == next.chain_pem; }));
  EXPECT_NE(first, next.chain_pem);
  EXPECT_TRUE(open.Works());
}

TEST_F(TlsReloadTest, APairThatDoesNotMatchNeverReachesTheServer) {
  const TestServer server(files_);
  const CertificateIssuer provider = pki_.Issuer(pki_.folder() + "/provider");
  LeafRequest request = pki_.Request(kBackendId);
  request.server = true;
  const IssuedLeaf a = *provider.Issue(request), b = *provider.Issue(request);
  EXPECT_EQ(InstallCertificatePair(files_, a.chain_pem, b.key_pem, absl::Now()).code(),
            absl::StatusCode::kFailedPrecondition);
  // A good one after it arrives, so the watcher has looked since.
  ASSERT_TRUE(InstallCertificatePair(files_, b.chain_pem, b.key_pem, absl::Now()).ok());
  EXPECT_TRUE(Eventually([&] { return LeafNow(server) == b.chain_pem; }));
}

TEST_F(TlsReloadTest, NewRootsCountForNewConnectionsAndOpenStreamsGoOn) {
  const std::string tenant_ca = pki_.UnconstrainedCa("new tenant");
  TestServer server(files_);
  ASSERT_TRUE(server.directory().Register(Tenant("new.example"), ReadAll(tenant_ca + "/ca.pem")).ok());
  const CertificateFiles stranger = pki_.Store(
      *pki_.Issuer(tenant_ca).Issue(pki_.Request("spiffe://new.example/device/d1")), pki_.provider_roots());
  EXPECT_FALSE(Check(ConnectRaw(server.address(), stranger)).ok());

  const std::string admission = ReadAll(pki_.admission_roots());
  ASSERT_TRUE(InstallRoots(files_, admission + ReadAll(tenant_ca + "/ca.pem")).ok());
  EXPECT_TRUE(Eventually([&] { return Check(ConnectRaw(server.address(), stranger)).ok(); }));
  OpenPublish open(ConnectRaw(server.address(), stranger));
  ASSERT_TRUE(open.Works());

  ASSERT_TRUE(InstallRoots(files_, admission).ok());
  EXPECT_TRUE(Eventually([&] { return !Check(ConnectRaw(server.address(), stranger)).ok(); }));
  EXPECT_TRUE(open.Works());
  EXPECT_TRUE(Check(Connect(server.address(), pki_.Leaf(kAcme, Role::kDevice, "d1"))).ok());
}

TEST_F(TlsReloadTest, AClientPresentsItsNewLeaf) {
  TestServer server(files_);
  const CertificateIssuer acme = pki_.Issuer(pki_.tenant_folder(kAcme));
  const CertificateFiles client = pki_.Store(*acme.Issue(pki_.Request(kDevice)), pki_.provider_roots());
  const auto credentials = *MakeChannelCredentials({.files = client}, *PeerExpectation::Parse(kBackendId));
  ASSERT_TRUE(Check(testing::Dial(server.address(), credentials)).ok());

  server.deny_list().DenyFingerprint(Tenant(kAcme),
                                     ValidateCertificateFiles(client, absl::Now())->fingerprint);
  ASSERT_FALSE(Check(testing::Dial(server.address(), credentials)).ok());
  const IssuedLeaf next = *acme.Issue(pki_.Request(kDevice));
  ASSERT_TRUE(InstallCertificatePair(client, next.chain_pem, next.key_pem, absl::Now()).ok());
  EXPECT_TRUE(Eventually([&] { return Check(testing::Dial(server.address(), credentials)).ok(); }));
}

}  // namespace
}  // namespace keystead
