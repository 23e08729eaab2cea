// Who gets through the handshake and the authorization step, and who does not: real sockets, real
// certificates.
#include <grpcpp/security/server_credentials.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/transport/channel_options.h"
#include "tests/unit/transport/test_server.h"

namespace keystead {
namespace {

using testing::Call;
using testing::Check;
using testing::Connect;
using testing::ConnectRaw;
using testing::kAcme;
using testing::kBackendId;
using testing::kGlobex;
using testing::kPublishMethod;
using testing::kSubscribeMethod;
using testing::ReadAll;
using testing::RunAny;
using testing::Tenant;
using testing::TestPki;
using testing::TestServer;
using testing::Text;
using testing::WriteAll;

constexpr char kDevice[] = "spiffe://acme.keystead.example/device/d1";
constexpr auto kUnavailable = grpc::StatusCode::UNAVAILABLE;  // what a client sees of a failed handshake

class TlsTest : public ::testing::Test {
 protected:
  CertificateFiles Device() { return pki_.Leaf(kAcme, Role::kDevice, "d1"); }
  CertificateFiles Issue(const std::string& ca_folder, const LeafRequest& request) {
    return pki_.Store(*pki_.Issuer(ca_folder).Issue(request), pki_.provider_roots());
  }
  // The backend's files with further CAs that it believes.
  CertificateFiles BackendWithRoots(const std::string& more) {
    CertificateFiles files = pki_.Backend();
    files.roots = pki_.NewFolder() + "/roots.pem";
    WriteAll(files.roots, ReadAll(pki_.admission_roots()) + ReadAll(more));
    return files;
  }
  // What the openssl command sees. The bytes it sends are no HTTP/2, so the server answers and hangs up.
  std::string SClient(const TestServer& server, const std::string& more) {
    const CertificateFiles device = Device();
    int exit_code = 0;
    return RunAny(absl::StrCat("echo hello | timeout 10 openssl s_client -ign_eof -alpn h2 -connect ",
                               server.address(), " -CAfile ", device.roots, " -cert ", device.chain,
                               " -cert_chain ", device.chain, " -key ", device.key, " ", more),
                  &exit_code);
  }

  TestPki& pki_ = TestPki::Shared();
};

TEST_F(TlsTest, LetsAGoodClientInAndTellsTheHandlerWhoItIs) {
  const TestServer server(pki_.Backend());
  const auto device = Connect(server.address(), Device());
  EXPECT_TRUE(Check(device).ok());
  EXPECT_TRUE(testing::OpenPublish(device).Works());

  const auto app = Connect(server.address(), pki_.Leaf(kGlobex, Role::kApp, "phone"));
  const auto stub = v1::Transport::NewStub(app);
  grpc::ClientContext context;
  const auto reader = stub->Subscribe(&context, v1::SubscribeRequest());
  v1::SubscribeResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.topics(0).log_id(), "spiffe://globex.keystead.example/app/phone");
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(server.Events(SecurityEventKind::kPeerRefused).empty());
}

TEST_F(TlsTest, AClientRefusesAServerOnItsDenyList) {
  const TestServer server(pki_.Backend());
  const absl::StatusOr<CertificateInfo> info = ValidateCertificateFiles(pki_.Backend(), absl::Now());
  ASSERT_TRUE(info.ok());
  CertificateFiles device = Device();
  device.denied_servers = pki_.NewFolder() + "/denied";
  const auto met = [&](const std::string& list) {
    WriteAll(device.denied_servers, list);
    return Check(Connect(server.address(), device)).error_code();
  };
  constexpr auto kOk = grpc::StatusCode::OK;
  EXPECT_EQ(met(""), kOk);
  EXPECT_EQ(met("serial 12345\nname service/another\ntenant acme.keystead.example\nserial " + info->serial),
            kOk)
      << "of others";
  EXPECT_EQ(met("serial 00" + info->serial), kUnavailable);
  EXPECT_EQ(met("sha256 " + info->fingerprint.ToHex()), kUnavailable);
  EXPECT_EQ(met(absl::StrCat("name service/", info->id.id())), kUnavailable);
  EXPECT_EQ(met(absl::StrCat("tenant ", info->id.tenant().str(), "\nserial ", info->serial)), kUnavailable);
  EXPECT_EQ(met(""), kOk);
  // The list may change while the program runs, and what cannot be read says nothing in a server's favour.
  const auto credentials = MakeChannelCredentials({.files = device}, *PeerExpectation::Parse(kBackendId));
  ASSERT_TRUE(credentials.ok());
  const auto again = [&] {
    return Check(DialChannel(server.address(), *credentials, {.own_connection = true})).error_code();
  };
  EXPECT_EQ(again(), kOk);
  for (const std::string& list : {"serial " + info->serial, std::string("serial"), std::string("\0", 1)}) {
    WriteAll(device.denied_servers, list);
    EXPECT_EQ(again(), kUnavailable) << list;
    EXPECT_EQ(MakeChannelCredentials({.files = device}, *PeerExpectation::Parse(kBackendId)).ok(),
              list.size() > 6)
        << list;
  }
  std::filesystem::remove(device.denied_servers);
  EXPECT_EQ(again(), kUnavailable);
  EXPECT_EQ(MakeChannelCredentials({.files = device}, *PeerExpectation::Parse(kBackendId)).status().code(),
            absl::StatusCode::kNotFound);
  WriteAll(device.denied_servers, "# nobody\n");
  EXPECT_EQ(again(), kOk);
}

TEST_F(TlsTest, RefusesClientsWithoutACertificateOrWithoutTls) {
  const TestServer server(pki_.Backend());
  EXPECT_EQ(Check(ConnectRaw(server.address(), {"", "", pki_.provider_roots()})).error_code(), kUnavailable);
  EXPECT_EQ(Check(testing::Dial(server.address(), grpc::InsecureChannelCredentials())).error_code(),
            kUnavailable);
  EXPECT_TRUE(Check(ConnectRaw(server.address(), Device())).ok());  // the same client with a certificate
}

TEST_F(TlsTest, SpeaksTls13AndNothingOlder) {
  const TestServer server(pki_.Backend());
  EXPECT_NE(SClient(server, "-tls1_3").find("New, TLSv1.3"), std::string::npos);
  const std::string older = SClient(server, "-tls1_2");
  EXPECT_NE(older.find("New, (NONE), Cipher is (NONE)"), std::string::npos) << older;
}

TEST_F(TlsTest, HandsOutNoSessionTickets) {
  const TestServer server(pki_.Backend());
  const std::string messages = SClient(server, "-tls1_3 -msg");
  // Tickets would stand between the client's Finished and the server's answer to bytes that are no HTTP/2.
  const size_t finished = messages.find(">>> TLS 1.3, Handshake [length 0034], Finished");
  ASSERT_NE(finished, std::string::npos) << messages;
  EXPECT_NE(messages.find("<<< TLS 1.3, InnerContent", finished), std::string::npos) << messages;
  EXPECT_EQ(messages.find("NewSessionTicket"), std::string::npos) << messages;
}

TEST_F(TlsTest, RefusesASelfSignedCertificate) {
  const TestServer server(pki_.Backend());
  const std::string folder = pki_.NewFolder();
  testing::Run(absl::StrCat(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=d1 -addext "
      "basicConstraints=critical,CA:FALSE -addext subjectAltName=URI:",
      kDevice, " -keyout ", folder, "/key.pem -out ", folder, "/chain.pem"));
  const CertificateFiles files{folder + "/chain.pem", folder + "/key.pem", pki_.provider_roots()};
  EXPECT_EQ(Check(ConnectRaw(server.address(), files)).error_code(), kUnavailable);
}

TEST_F(TlsTest, RefusesExpiredAndNotYetValidCertificates) {
  const TestServer server(pki_.Backend());
  LeafRequest request = pki_.Request(kDevice);
  EXPECT_TRUE(Check(ConnectRaw(server.address(), Issue(pki_.tenant_folder(kAcme), request))).ok());
  request.not_before = absl::Now() - absl::Hours(2);
  request.not_after = absl::Now() - absl::Minutes(1);
  EXPECT_EQ(Check(ConnectRaw(server.address(), Issue(pki_.tenant_folder(kAcme), request))).error_code(),
            kUnavailable);
  request.not_before = absl::Now() + absl::Hours(1);
  request.not_after = absl::Now() + absl::Hours(2);
  EXPECT_EQ(Check(ConnectRaw(server.address(), Issue(pki_.tenant_folder(kAcme), request))).error_code(),
            kUnavailable);
}

TEST_F(TlsTest, RefusesAChainWithoutTheCrossCertificate) {
  const TestServer server(pki_.Backend());
  CertificateFiles files = Issue(pki_.tenant_folder(kAcme), pki_.Request(kDevice));
  const std::string chain = ReadAll(files.chain);
  WriteAll(files.chain, chain.substr(0, chain.rfind("-----BEGIN")));
  EXPECT_EQ(Check(ConnectRaw(server.address(), files)).error_code(), kUnavailable);
}

TEST_F(TlsTest, NameConstraintsStopATenantsCaThatNamesAnotherTenant) {
  const TestServer server(pki_.Backend());
  const CertificateFiles forged = Issue(pki_.tenant_folder(kGlobex), pki_.Request(kDevice));
  EXPECT_EQ(Check(ConnectRaw(server.address(), forged)).error_code(), kUnavailable);
  EXPECT_TRUE(server.Events(SecurityEventKind::kIssuerMismatch).empty());  // TLS itself refused
}

TEST_F(TlsTest, IssuerBindingStopsItWhereTheCaHasNoNameConstraints) {
  const std::string rogue = pki_.UnconstrainedCa("rogue");
  TestServer server(BackendWithRoots(rogue + "/ca.pem"));
  ASSERT_TRUE(server.directory().Register(Tenant("rogue.example"), ReadAll(rogue + "/ca.pem")).ok());
  EXPECT_TRUE(
      Check(ConnectRaw(server.address(), Issue(rogue, pki_.Request("spiffe://rogue.example/device/d1"))))
          .ok());

  const grpc::Status status = Check(ConnectRaw(server.address(), Issue(rogue, pki_.Request(kDevice))));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(status.error_message(), "the caller is not known here");
  ASSERT_EQ(server.Events(SecurityEventKind::kIssuerMismatch).size(), 1u);
  EXPECT_EQ(server.Events(SecurityEventKind::kIssuerMismatch)[0].peer, kDevice);
}

TEST_F(TlsTest, RefusesTwoUriNames) {
  const TestServer server(pki_.Backend());
  LeafRequest request = pki_.Request(kDevice);
  request.further_uris = {"spiffe://acme.keystead.example/admin/root"};
  const grpc::Status status = Check(ConnectRaw(server.address(), Issue(pki_.tenant_folder(kAcme), request)));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(server.Events(SecurityEventKind::kPeerRefused).size(), 1u);
}

TEST_F(TlsTest, RefusesATenantThatIsNotRegistered) {
  TestServer server(pki_.Backend());
  server.directory().Remove(Tenant(kAcme));
  EXPECT_EQ(Check(Connect(server.address(), Device())).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(TlsTest, RefusesTheWrongRoleAndMethodsWithoutARow) {
  const TestServer server(pki_.Backend());
  const auto device = Connect(server.address(), Device());
  for (const std::string& method :
       {std::string(kSubscribeMethod), std::string(kHealthWatchMethod),
        std::string("/keystead.v1.Transport/Absent"),
        std::string("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")}) {
    const grpc::Status status = Call(device, method);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << method;
    EXPECT_EQ(status.error_message(), "this caller may not do that");
  }
  EXPECT_EQ(server.Events(SecurityEventKind::kNotPermitted).size(), 4u);
  EXPECT_EQ(
      Call(Connect(server.address(), pki_.Leaf(kAcme, Role::kApp, "phone")), kPublishMethod).error_code(),
      grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(TlsTest, RefusesARevokedCertificateOnTheConnectionThatIsOpen) {
  TestServer server(pki_.Backend());
  const CertificateFiles files = Device();
  const auto revoked = Connect(server.address(), files);
  const auto other = Connect(server.address(), pki_.Leaf(kAcme, Role::kDevice, "d2"));
  EXPECT_TRUE(Check(revoked).ok());
  server.deny_list().DenySerial(Tenant(kAcme), ValidateCertificateFiles(files, absl::Now())->serial);
  EXPECT_EQ(Check(revoked).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Check(other).ok());
}

TEST_F(TlsTest, ClientRefusesAServerOfAnotherName) {
  const TestServer server(pki_.Backend());
  const CertificateFiles device = Device();
  EXPECT_TRUE(Check(Connect(server.address(), device, "spiffe://provider-one.example/service/*")).ok());
  for (const char* expected :
       {"spiffe://provider-one.example/service/other", "spiffe://provider-one.example/gateway/*",
        "spiffe://provider-two.example/service/backend"}) {
    EXPECT_EQ(Check(Connect(server.address(), device, expected)).error_code(), kUnavailable) << expected;
  }
  EXPECT_GE(server.Events(SecurityEventKind::kPeerRefused).size(), 3u);
}

// Servers that our own start-up would refuse to be.
TEST_F(TlsTest, ClientRefusesAServerWithTwoNamesAnotherIssuerOrNoRightToServe) {
  const auto serve = [this](const IssuedLeaf& leaf) {
    grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = ReadAll(pki_.admission_roots());
    options.pem_key_cert_pairs.push_back({Text(leaf.key_pem), leaf.chain_pem});
    return [options](const std::function<void()>&) { return grpc::SslServerCredentials(options); };
  };
  LeafRequest request = pki_.Request(kBackendId);
  request.server = true;
  const CertificateFiles device = Device();
  const CertificateIssuer provider = pki_.Issuer(pki_.folder() + "/provider");
  {
    const TestServer good(serve(*provider.Issue(request)));
    EXPECT_TRUE(Check(Connect(good.address(), device)).ok());
  }
  LeafRequest two = request;
  two.further_uris = {"spiffe://provider-one.example/service/other"};
  LeafRequest client_only = request;
  client_only.server = false;
  const IssuedLeaf bad[] = {*provider.Issue(two), *provider.Issue(client_only),
                            *pki_.Issuer(pki_.UnconstrainedCa("rogue")).Issue(request)};
  for (const IssuedLeaf& leaf : bad) {
    const TestServer server(serve(leaf));
    EXPECT_EQ(Check(Connect(server.address(), device)).error_code(), kUnavailable);
  }
}

TEST_F(TlsTest, AGatewayServesItsOwnTenantOnly) {
  CertificateFiles gateway = pki_.Leaf(kAcme, Role::kGateway, "hall", "--server");
  gateway.roots = pki_.tenant_folder(kAcme) + "/ca.pem";
  const TestServer server(gateway);
  CertificateFiles device = Device();
  device.roots = gateway.roots;
  EXPECT_TRUE(Check(Connect(server.address(), device, "spiffe://acme.keystead.example/gateway/*")).ok());
  CertificateFiles stranger = pki_.Leaf(kGlobex, Role::kDevice, "d1");
  stranger.roots = gateway.roots;
  EXPECT_EQ(
      Check(Connect(server.address(), stranger, "spiffe://acme.keystead.example/gateway/*")).error_code(),
      kUnavailable);
}

TEST_F(TlsTest, CredentialsNeedFilesThatAreGood) {
  CertificateFiles files = Device();
  files.key = pki_.Backend().key;
  EXPECT_EQ(MakeServerCredentials({.files = files}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(MakeChannelCredentials({.files = files}, *PeerExpectation::Parse(kBackendId)).status().code(),
            absl::StatusCode::kFailedPrecondition);
  files.key = "/absent";
  EXPECT_EQ(MakeServerCredentials({.files = files}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace keystead
