#include "infra-sim/tcp_relay.h"

#include <sys/socket.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "infra-sim/socket.h"
#include "tests/unit/infra_sim/fixtures.h"
#include "tests/unit/infra_sim/hop_fixture.h"

namespace keystead::infra {
namespace {

std::string Record(const std::string& payload) {
  return std::string("\x17\x03\x03", 3) + static_cast<char>(payload.size() >> 8) +
         static_cast<char>(payload.size()) + payload;
}

// Takes one connection and collects what comes over it until its end.
class Sink {
 public:
  Sink() : listener_(*ListenTcp("127.0.0.1:0")) {
    thread_ = std::thread([this] {
      const Socket peer(accept(listener_.fd(), nullptr, nullptr));
      char buffer[4096];
      for (ssize_t got = 0; (got = recv(peer.fd(), buffer, sizeof buffer, 0)) > 0;) {
        received_.append(buffer, static_cast<size_t>(got));
      }
    });
  }
  ~Sink() {
    if (thread_.joinable()) Received();
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", BoundPort(listener_)); }
  std::string Received() {
    thread_.join();
    return received_;
  }

 private:
  Socket listener_;
  std::string received_;
  std::thread thread_;
};

class TcpRelayTest : public ::testing::Test {
 protected:
  std::unique_ptr<TcpRelay> Start(const std::string& upstream) {
    auto relay =
        TcpRelay::Start({.name = "wire", .listen_address = "127.0.0.1:0", .upstream = upstream}, &engine_);
    EXPECT_TRUE(relay.ok()) << relay.status();
    return *std::move(relay);
  }
  // Sends the records through a relay and returns what arrives.
  std::string Through(const std::string& bytes) {
    Sink sink;
    const auto relay = Start(sink.address());
    {
      const auto client = ConnectTcp(absl::StrCat("127.0.0.1:", relay->port()));
      EXPECT_TRUE(client.ok());
      EXPECT_TRUE(WriteAll(*client, bytes));
      shutdown(client->fd(), SHUT_WR);
    }
    return sink.Received();
  }
  void Arm(v1::AttackKind kind, uint32_t count = 1) {
    auto attack = Attack(kind);
    attack.set_topic_prefix("tls");
    attack.set_count(count);
    ASSERT_TRUE(engine_.Arm(attack).ok());
  }
  AttackEngine engine_{EngineOptions{}};
  const std::string a_ = Record("first record"), b_ = Record("second record"), c_ = Record("third");
};

TEST_F(TcpRelayTest, UnarmedPassesAnyBytesThrough) {
  EXPECT_EQ(Through(a_ + b_ + c_ + "\x17\x03\x03"), a_ + b_ + c_ + "\x17\x03\x03");
  EXPECT_EQ(Through("no TLS at all"), "no TLS at all");
}

TEST_F(TcpRelayTest, AttacksHitWholeRecords) {
  Arm(v1::ATTACK_DROP);
  EXPECT_EQ(Through(a_ + b_ + c_), b_ + c_);
  Arm(v1::ATTACK_DUPLICATE);
  EXPECT_EQ(Through(a_ + b_), a_ + a_ + b_);
  Arm(v1::ATTACK_REORDER);
  EXPECT_EQ(Through(a_ + b_ + c_), b_ + a_ + c_);
  Arm(v1::ATTACK_REORDER);
  EXPECT_EQ(Through(a_), a_);
  Arm(v1::ATTACK_TRUNCATE);
  EXPECT_EQ(Through(a_ + b_), a_.substr(0, a_.size() / 2));
  Arm(v1::ATTACK_ACK_AND_DROP);
  EXPECT_EQ(Through(a_ + b_), "");
  Arm(v1::ATTACK_MODIFY);
  const std::string modified = Through(a_ + b_);
  EXPECT_EQ(modified.size(), a_.size() + b_.size());
  EXPECT_NE(modified, a_ + b_);
  EXPECT_EQ(modified.substr(a_.size()), b_);
  EXPECT_EQ(engine_.Injections(0).injections_size(), 7);
}

TEST_F(TcpRelayTest, ConnectionsAboveTheLimitAreClosed) {
  Sink sink;
  auto relay = TcpRelay::Start(
      {.name = "wire", .listen_address = "127.0.0.1:0", .upstream = sink.address(), .max_connections = 0},
      &engine_);
  ASSERT_TRUE(relay.ok());
  const auto client = ConnectTcp(absl::StrCat("127.0.0.1:", (*relay)->port()));
  ASSERT_TRUE(client.ok());
  char byte = 0;
  EXPECT_LE(recv(client->fd(), &byte, 1, 0), 0);
}

TEST_F(TcpRelayTest, StartErrorsSayWhatIsWrong) {
  const auto first = Start("127.0.0.1:9");
  const auto taken = TcpRelay::Start({.name = "wire",
                                      .listen_address = absl::StrCat("127.0.0.1:", first->port()),
                                      .upstream = "127.0.0.1:9"},
                                     &engine_);
  EXPECT_EQ(taken.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(taken.status().message().find("wire"), absl::string_view::npos);
  const auto no_address =
      TcpRelay::Start({.name = "wire", .listen_address = "nonsense", .upstream = "127.0.0.1:9"}, &engine_);
  EXPECT_EQ(no_address.status().code(), absl::StatusCode::kInvalidArgument);
}

// The relay under a real mTLS connection: TLS itself notices, and the call dies.
TEST_F(HopTest, FlippedBitInATlsRecordEndsTheCall) {
  StartBalancer();
  const auto relay = TcpRelay::Start({.name = "wire",
                                      .listen_address = "127.0.0.1:0",
                                      .upstream = absl::StrCat("127.0.0.1:", balancer_->port())},
                                     &engine_);
  ASSERT_TRUE(relay.ok());
  const TlsOptions tls = {.files = pki_.Leaf(testing::kAcme, Role::kDevice, "one")};
  const auto server = PeerExpectation::Parse("spiffe://provider-one.example/service/backend");
  const auto credentials = MakeChannelCredentials(tls, *server);
  ASSERT_TRUE(credentials.ok());
  const auto channel = DialChannel(absl::StrCat("127.0.0.1:", (*relay)->port()), *credentials,
                                   ChannelOptions{.own_connection = true});
  Publishing call(channel);
  ASSERT_TRUE(call.Send({Group(Header(), 1, 1).SerializeAsString()}));
  ASSERT_TRUE(call.WaitForAck(1).has_value());
  auto attack = Attack(v1::ATTACK_MODIFY);
  attack.set_topic_prefix("tls");
  attack.set_direction("up");
  attack.set_count(1);
  Arm(attack);
  call.Send({Group(Header(), 2, 1).SerializeAsString()});
  EXPECT_FALSE(call.WaitForAck(2).has_value());
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(next_.groups().size(), 1u);
}

}  // namespace
}  // namespace keystead::infra
