// Who counts on the LAN, and who does no more.
#include <grpcpp/client_context.h>

#include "core/identity/revocations.h"
#include "core/program/state_folder.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "keystead/v1/rendezvous.grpc.pb.h"
#include "keystead/v1/revocation.grpc.pb.h"
#include "tests/unit/gateway/gateway_fixture.h"

namespace keystead::testing {
namespace {

std::unique_ptr<grpc::ClientContext> Soon(absl::Duration limit = absl::Seconds(20)) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(absl::ToChronoTime(absl::Now() + limit));
  return context;
}

class LanIdentityTest : public GatewayTest {
 protected:
  static grpc::StatusCode Put(const std::shared_ptr<grpc::Channel>& channel) {
    v1::PutRequest request;
    request.set_box(std::string(16, 'b'));
    request.set_message("x");
    v1::PutResponse response;
    return v1::Rendezvous::NewStub(channel)->Put(Soon().get(), request, &response).error_code();
  }
  std::shared_ptr<grpc::Channel> DialWith(const CertificateFiles& files) const {
    const auto hall = *PeerExpectation::Parse("spiffe://acme.keystead.example/gateway/hall");
    return DialChannel("127.0.0.1:" + std::to_string(port_), *MakeChannelCredentials({.files = files}, hall),
                       {.own_connection = true});
  }
  TestPki& pki_ = TestPki::Shared();
};

TEST_F(LanIdentityTest, ACaOfTheTenantThatNamesAnotherIsRefusedAndRecorded) {
  const std::string second = pki_.UnconstrainedCa("second");
  const std::string roots = pki_.NewFolder() + "/roots.pem";
  WriteAll(roots, ReadAll(options_.files.roots) + ReadAll(second + "/ca.pem"));
  options_.files.roots = roots;
  Start();
  const auto leaf = [&](const std::string& uri) {
    return pki_.Store(*pki_.Issuer(second).Issue(pki_.Request(uri)), pki_.tenant_folder(kAcme) + "/ca.pem");
  };
  EXPECT_EQ(Put(DialWith(leaf("spiffe://acme.keystead.example/device/x"))), grpc::StatusCode::OK);
  const size_t before = Events(SecurityEventKind::kPeerRefused);
  EXPECT_EQ(Put(DialWith(leaf("spiffe://globex.keystead.example/device/x"))),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Events(SecurityEventKind::kPeerRefused), before + 1);
}

TEST_F(LanIdentityTest, RevocationsOfThisStateFolderCountFromTheStart) {
  const SecretBytes key = Secret(ReadAll(pki_.tenant_folder(kAcme) + "/ca.key"));
  const Bytes object =
      *SignRevocations({.number = 4, .tenant = Tenant(kAcme), .text = "name device/device-1"}, key);
  const StateFolder folder = *StateFolder::Open(options_.state);
  ASSERT_TRUE(folder.WriteChecked("revocations", {"ks-revocations", 1}, SecretBytes::CopyOf(object)).ok());
  Start();
  EXPECT_EQ(Put(Dial(Role::kDevice, "device-1")), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Put(Dial(Role::kDevice, "device-2")), grpc::StatusCode::OK);
  // A gateway behind this one has them from here; others have no use for them.
  const auto fetch = [&](Role role, uint64_t above, v1::FetchRevocationsResponse& response) {
    v1::FetchRevocationsRequest request;
    request.set_above(above);
    return v1::Revocation::NewStub(Dial(role, "attic"))
        ->Fetch(Soon(absl::Milliseconds(300)).get(), request, &response)
        .error_code();
  };
  v1::FetchRevocationsResponse response;
  EXPECT_EQ(fetch(Role::kGateway, 3, response), grpc::StatusCode::OK);
  EXPECT_EQ(response.object(), ToString(object));
  EXPECT_EQ(fetch(Role::kGateway, 4, response), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(fetch(Role::kDevice, 0, response), grpc::StatusCode::PERMISSION_DENIED);
  Stop();
  // Without what it knew it must not begin: somebody may have taken it away for a reason.
  WriteAll(options_.state + "/revocations", "damaged");
  const absl::Status status = TryStart();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("revocations"), absl::string_view::npos);
}

}  // namespace
}  // namespace keystead::testing
