#include "core/transport/acceptor.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/transport/test_server.h"

namespace keystead {
namespace {

using testing::Check;
using testing::Connect;
using testing::kAcme;
using testing::TestPki;

constexpr std::string_view kPartOfAHello("\x16\x03\x01\x02\x00\x01", 6);  // five hundred bytes are to come
constexpr absl::Duration kNever = absl::Hours(1);

// Our side of a connection, from an address of our choice.
class Client {
 public:
  Client(const char* from, int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, from, &address.sin_addr);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  void Say(std::string_view bytes) {
    EXPECT_EQ(send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Waits until the server ends the connection; what it said before.
  std::string Rest() {
    std::string out;
    char buffer[4096];
    while (true) {
      const ssize_t got = recv(fd_.get(), buffer, sizeof(buffer), 0);
      if (got <= 0) return out;
      out.append(buffer, static_cast<size_t>(got));
    }
  }

 private:
  FileDescriptor fd_;
};

class AcceptorTest : public ::testing::Test {
 protected:
  void Start() {
    ASSERT_TRUE(directory_.LoadFolder(pki_.folder() + "/tenants").ok());
    ServerOptions options;
    options.listen_address = "127.0.0.1:0";
    options.credentials = *MakeServerCredentials({.files = pki_.Backend()});
    options.handshakes = limits_;
    options.resolver = resolver_;
    options.policy = {{kHealthCheckMethod, RoleSet::Operational()}};
    options.services = {&service_};
    absl::StatusOr<RunningServer> server = StartServer(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_.emplace(*std::move(server));
  }
  // Of a device at 127.0.0.1, on a connection of its own.
  grpc::Status Ask() { return Check(Connect(server_->address(), device_)); }
  std::vector<SecurityEvent> Events() {
    absl::MutexLock lock(&mutex_);
    return events_;
  }
  bool WaitForEvents(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return events_.size() >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(20));
  }

  HandshakeLimits limits_;
  TestPki& pki_ = TestPki::Shared();
  CertificateFiles device_ = pki_.Leaf(kAcme, Role::kDevice, "d-acceptor");
  TenantDirectory directory_;
  DenyList deny_list_;
  std::shared_ptr<PrincipalResolver> resolver_ =
      std::make_shared<PrincipalResolver>(&directory_, &deny_list_);
  testing::EchoTransport service_{resolver_.get()};
  absl::Mutex mutex_;
  std::vector<SecurityEvent> events_ ABSL_GUARDED_BY(mutex_);
  SecurityEventTap tap_{[this](const SecurityEvent& event) {
    absl::MutexLock lock(&mutex_);
    events_.push_back(event);
  }};
  std::optional<RunningServer> server_;
};

TEST_F(AcceptorTest, APlaceIsFreeAgainWhenAHandshakeHasSucceeded) {
  limits_.at_once = 1;
  limits_.handshake = limits_.patience = kNever;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<std::shared_ptr<grpc::Channel>> open;
  for (int i = 0; i < 20; ++i) {
    open.push_back(Connect(server_->address(), device_));
    ASSERT_TRUE(Check(open.back()).ok()) << i;
  }
  for (const auto& channel : open) EXPECT_TRUE(Check(channel).ok()) << "it goes on";
  EXPECT_TRUE(Events().empty());
}

TEST_F(AcceptorTest, AFloodFromOneAddressIsEndedBeforeTlsAndOthersAreLetIn) {
  limits_.per_second = 0.001;
  limits_.burst = 3;
  ASSERT_NO_FATAL_FAILURE(Start());
  std::vector<Client> let_in;
  for (int i = 0; i < 3; ++i) let_in.emplace_back("127.0.0.2", server_->port());
  for (int i = 0; i < 50; ++i) {
    Client flood("127.0.0.2", server_->port());
    EXPECT_EQ(flood.Rest(), "");
  }
  EXPECT_TRUE(Ask().ok());
  ASSERT_TRUE(WaitForEvents(1));
  server_->Shutdown(absl::ZeroDuration());
  uint64_t count = 0;
  for (const SecurityEvent& event : Events()) {
    EXPECT_EQ(event.kind, SecurityEventKind::kLimitExceeded);
    EXPECT_EQ(event.peer, "127.0.0.2");
    count += event.count;
  }
  EXPECT_EQ(count, 50u);
  EXPECT_LE(Events().size(), 2u) << "one in an interval, and what was left at the end";
}

TEST_F(AcceptorTest, WhoSaysNothingIsEndedAndCountsAgainstItsAddressOnly) {
  limits_.pending = 2;
  limits_.silence = kNever;
  ASSERT_NO_FATAL_FAILURE(Start());
  Client first("127.0.0.2", server_->port());
  Client second("127.0.0.2", server_->port());
  EXPECT_EQ(Client("127.0.0.2", server_->port()).Rest(), "");
  EXPECT_TRUE(Ask().ok());
}

TEST_F(AcceptorTest, SilenceEnds) {
  limits_.silence = absl::Milliseconds(20);
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(Client("127.0.0.2", server_->port()).Rest(), "");
  ASSERT_TRUE(WaitForEvents(1));
  EXPECT_NE(Events()[0].detail.find("1 that did not go on"), std::string::npos) << Events()[0].detail;
}

TEST_F(AcceptorTest, JunkAndGoneClientsLeaveNoPlaceTaken) {
  limits_.at_once = 1;
  limits_.handshake = limits_.patience = kNever;
  ASSERT_NO_FATAL_FAILURE(Start());
  for (int i = 0; i < 5; ++i) {
    Client junk("127.0.0.2", server_->port());
    junk.Say("GET / HTTP/1.1\r\n\r\n");
    junk.Rest();
    Client("127.0.0.3", server_->port()).Say(kPartOfAHello);  // and gone
    Client("127.0.0.4", server_->port());
  }
  EXPECT_TRUE(Ask().ok());
}

TEST_F(AcceptorTest, AHandshakeThatFailsRingsOnceUnderItsAddress) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const TestPki elsewhere;
  CertificateFiles stranger = elsewhere.Leaf(kAcme, Role::kDevice, "d-acceptor");
  stranger.roots = device_.roots;
  EXPECT_FALSE(Check(Connect(server_->address(), stranger)).ok());
  ASSERT_TRUE(WaitForEvents(1));
  EXPECT_EQ(Events()[0].kind, SecurityEventKind::kHandshakeFailed);
  EXPECT_EQ(Events()[0].peer, "127.0.0.1");
  EXPECT_TRUE(Ask().ok());
  Client junk("127.0.0.2", server_->port());
  junk.Say("GET / HTTP/1.1\r\n\r\n");
  junk.Rest();
  const auto junks = [&] {
    return absl::c_count_if(Events(), [](const SecurityEvent& event) { return event.peer == "127.0.0.2"; });
  };
  for (size_t known = Events().size(); junks() == 0; known = Events().size())
    ASSERT_TRUE(WaitForEvents(known + 1));
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(junks(), 1);
}

TEST_F(AcceptorTest, AStalledHandshakeGivesItsPlaceToWhoWaits) {
  limits_.at_once = 1;
  limits_.handshake = kNever;
  limits_.patience = absl::Milliseconds(20);
  ASSERT_NO_FATAL_FAILURE(Start());
  Client stalled("127.0.0.2", server_->port());
  stalled.Say(kPartOfAHello);
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(stalled.Rest(), "");
}

TEST_F(AcceptorTest, AHandshakeThatDoesNotGoOnEnds) {
  limits_.handshake = absl::Milliseconds(50);
  ASSERT_NO_FATAL_FAILURE(Start());
  Client stalled("127.0.0.2", server_->port());
  stalled.Say(kPartOfAHello);
  EXPECT_EQ(stalled.Rest(), "");
}

TEST_F(AcceptorTest, ShutdownEndsWhateverIsOnItsWay) {
  limits_.at_once = 1;
  limits_.silence = limits_.handshake = limits_.patience = kNever;
  ASSERT_NO_FATAL_FAILURE(Start());
  const auto channel = Connect(server_->address(), device_);
  ASSERT_TRUE(Check(channel).ok());
  Client silent("127.0.0.2", server_->port());
  Client under_way("127.0.0.2", server_->port());
  under_way.Say(kPartOfAHello);
  Client waiting("127.0.0.3", server_->port());
  waiting.Say(kPartOfAHello);
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_EQ(silent.Rest(), "");
  EXPECT_EQ(under_way.Rest(), "");
  EXPECT_EQ(waiting.Rest(), "");
  EXPECT_EQ(Check(channel).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(AcceptorTest, LimitsThatLetNobodyInAreRefused) {
  limits_.at_once = 0;
  ServerOptions options;
  options.listen_address = "127.0.0.1:0";
  options.credentials = *MakeServerCredentials({.files = pki_.Backend()});
  options.handshakes = limits_;
  options.resolver = resolver_;
  options.services = {&service_};
  EXPECT_EQ(StartServer(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace keystead
