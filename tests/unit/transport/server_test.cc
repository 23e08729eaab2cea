#include "core/transport/server.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/transport/test_server.h"

namespace keystead {
namespace {

using testing::Check;
using testing::Connect;
using testing::kAcme;
using testing::OpenPublish;
using testing::TestPki;
using testing::TestServer;

class ServerTest : public ::testing::Test {
 protected:
  ServerOptions Options() {
    ServerOptions options;
    options.listen_address = "127.0.0.1:0";
    options.credentials = *MakeServerCredentials({.files = pki_.Backend()});
    options.resolver = resolver_;
    options.services = {&service_};
    return options;
  }
  TestPki& pki_ = TestPki::Shared();
  TenantDirectory directory_;
  DenyList deny_list_;
  std::shared_ptr<PrincipalResolver> resolver_ =
      std::make_shared<PrincipalResolver>(&directory_, &deny_list_);
  testing::EchoTransport service_{resolver_.get()};
};

TEST_F(ServerTest, TellsThePortThatTheSystemChose) {
  const absl::StatusOr<RunningServer> server = StartServer(Options());
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_GT(server->port(), 0);
  EXPECT_EQ(server->address(), absl::StrCat("127.0.0.1:", server->port()));
}

TEST_F(ServerTest, SaysThatAPortIsTaken) {
  const absl::StatusOr<RunningServer> first = StartServer(Options());
  ASSERT_TRUE(first.ok());
  ServerOptions options = Options();
  options.listen_address = first->address();
  const absl::Status status = StartServer(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find(first->address() + ": the port is taken"), absl::string_view::npos)
      << status;
}

TEST_F(ServerTest, SaysThatAnAddressIsNotItsOwn) {
  ServerOptions options = Options();
  options.listen_address = "192.0.2.1:0";
  const absl::Status status = StartServer(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("192.0.2.1:0: the address is none of this machine's"),
            absl::string_view::npos)
      << status;
}

TEST_F(ServerTest, NeedsCredentialsResolverServiceAndAddress) {
  ServerOptions options = Options();
  options.credentials = nullptr;
  EXPECT_EQ(StartServer(options).status().code(), absl::StatusCode::kInvalidArgument);
  options = Options();
  options.resolver = nullptr;
  EXPECT_EQ(StartServer(options).status().code(), absl::StatusCode::kInvalidArgument);
  options = Options();
  options.services.clear();
  EXPECT_EQ(StartServer(options).status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* address : {"", "7443", ":7443"}) {
    options = Options();
    options.listen_address = address;
    EXPECT_EQ(StartServer(options).status().code(), absl::StatusCode::kInvalidArgument) << address;
  }
}

TEST_F(ServerTest, AnswersHealthChecksTruly) {
  TestServer server(pki_.Backend());
  const auto channel = Connect(server.address(), pki_.Leaf(kAcme, Role::kDevice, "d1"));
  EXPECT_TRUE(Check(channel).ok());
  server.server().SetServing(false);
  EXPECT_EQ(Check(channel).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  server.server().SetServing(true);
  EXPECT_TRUE(Check(channel).ok());
}

TEST_F(ServerTest, EndsACallWhoseMessageIsTooLarge) {
  TestServer server(pki_.Backend());
  const auto stub = v1::Transport::NewStub(Connect(server.address(), pki_.Leaf(kAcme, Role::kDevice, "d1")));
  for (const bool too_large : {false, true}) {
    grpc::ClientContext context;
    const auto stream = stub->Publish(&context);
    v1::PublishRequest request;
    request.add_groups(std::string(limits::kMaxMessageBytes - (too_large ? 0 : 64), 'x'));
    stream->Write(request);
    v1::PublishResponse response;
    EXPECT_EQ(stream->Read(&response), !too_large);
    stream->WritesDone();
    EXPECT_EQ(stream->Finish().error_code(),
              too_large ? grpc::StatusCode::RESOURCE_EXHAUSTED : grpc::StatusCode::OK);
  }
}

TEST_F(ServerTest, ShutdownEndsOpenCallsAndMayBeRepeated) {
  TestServer server(pki_.Backend());
  const auto channel = Connect(server.address(), pki_.Leaf(kAcme, Role::kDevice, "d1"));
  OpenPublish open(channel);
  ASSERT_TRUE(open.Works());
  server.server().Shutdown(absl::Milliseconds(100));
  server.server().Shutdown(absl::Milliseconds(100));
  EXPECT_FALSE(open.Works());
  EXPECT_FALSE(Check(channel).ok());
}

}  // namespace
}  // namespace keystead
