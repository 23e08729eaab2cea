#include "core/observe/metrics_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file_descriptor.h"
#include "core/observe/metrics.h"
#include "core/observe/metrics_request.h"

namespace keystead {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr Metric kWide = {"example_wide_total", "Many of them.", MetricType::kCounter, {"kind"}};
constexpr char kGet[] = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n";

class Client {
 public:
  explicit Client(int port) : Client() { Connect(port); }
  Client() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int small = 4096;  // what it does not read soon stays with the server
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    const timeval patience{.tv_sec = 60, .tv_usec = 0};  // so that a server that never ends fails a test
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  void Connect(int port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
  void Say(std::string_view text) {
    EXPECT_EQ(send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // All that comes until the server ends the connection.
  std::string Hear() {
    std::string out;
    char buffer[4096];
    for (ssize_t got = 0; (got = recv(socket_.get(), buffer, sizeof(buffer), 0)) > 0;)
      out.append(buffer, static_cast<size_t>(got));
    return out;
  }
  std::string Ask(std::string_view request) {
    Say(request);
    return Hear();
  }
  bool AwaitEnd(absl::Duration patience) {
    pollfd wait{socket_.get(), POLLIN | POLLRDHUP, 0};
    return poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(patience))) == 1;
  }

 private:
  FileDescriptor socket_;
};

class MetricsServerTest : public ::testing::Test {
 protected:
  ~MetricsServerTest() override { SetMetricsWanted(false); }
  MetricsServer& Start(MetricsServerOptions options) {
    options.listen = "127.0.0.1:0";
    auto started = MetricsServer::Start(options);
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    return *server_;
  }
  void AwaitOpen(size_t count) const {
    const absl::Time until = absl::Now() + absl::Seconds(60);
    while (server_->open_connections() != count && absl::Now() < until) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_EQ(server_->open_connections(), count);
  }
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, ServesMetricsAndNothingElse) {
  const int port = Start({}).port();
  EXPECT_TRUE(MetricsWanted());
  const std::string answer = Client(port).Ask(kGet);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("# TYPE keystead_metrics_sources gauge\n"));
  const auto status = [&](std::string_view line, std::string_view rest = "\r\nHost: localhost\r\n\r\n") {
    return Client(port).Ask(absl::StrCat(std::string(line), std::string(rest))).substr(9, 3);
  };
  EXPECT_EQ(status("GET /metrics?x=1 HTTP/1.1"), "200");
  EXPECT_EQ(status("GET /metrics HTTP/1.0"), "200");
  for (const char* line : {"GET / HTTP/1.1", "GET /metrics/ HTTP/1.1", "GET /../metrics HTTP/1.1",
                           "GET http://localhost/metrics HTTP/1.1", "POST /-/quit HTTP/1.1"})
    EXPECT_EQ(status(line), "404") << line;
  for (const char* method : {"POST", "HEAD", "PUT", "DELETE", "OPTIONS", "get"})
    EXPECT_EQ(status(absl::StrCat(method, " /metrics HTTP/1.1")), "405") << method;
  for (const char* line : {"GET /metrics HTTP/2.0", "GET /metrics", "GET  /metrics HTTP/1.1", "\x16\x03\x01",
                           " GET /metrics HTTP/1.1", "GET /metrics HTTP/1.1 x"})
    EXPECT_EQ(status(line), "400") << line;
  EXPECT_EQ(status("GET /metrics HTTP/1.1", "\r\n\r\n"), "400") << "no Host";
  EXPECT_EQ(status("GET /metrics HTTP/1.1", "\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), "400");
}

// What a name that somebody made to point to this machine looks like.
TEST_F(MetricsServerTest, APageInABrowserLearnsNothing) {
  const int port = Start({}).port();
  for (const char* host : {"evil.example", "evil.example:80", "127.evil.example", "127.0.0.1.evil.example",
                           "", "10.0.0.1", "[::2]", "[::1", "localhost.evil"}) {
    const std::string answer =
        Client(port).Ask(absl::StrCat("GET /metrics HTTP/1.1\r\nHost: ", host, "\r\n\r\n"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 421 ")) << host;
    EXPECT_EQ(answer.find("keystead_"), std::string::npos) << host;
  }
  for (const char* host : {"127.0.0.1", "127.1.2.3:9464", "LOCALHOST:1", "[::1]", "[::1]:9464"}) {
    EXPECT_THAT(Client(port).Ask(absl::StrCat("GET /metrics HTTP/1.1\r\nhost:\t", host, "\r\n\r\n")),
                StartsWith("HTTP/1.1 200 "))
        << host;
  }
}

TEST_F(MetricsServerTest, APageLearnsNothingOnLoopbackWhateverElseIsAllowed) {
  const int port = Start({.open_to_network = true}).port();
  EXPECT_THAT(Client(port).Ask("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
              StartsWith("HTTP/1.1 421 "));
}

TEST_F(MetricsServerTest, WithoutFilesForConnectionsItWaitsInsteadOfSpinning) {
  const int port = Start({}).port();
  Client client(port);
  EXPECT_THAT(Client(port).Ask(kGet), StartsWith("HTTP/1.1 200 "));
  AwaitOpen(1);
  Client waits;  // has its file before there are none
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  waits.Connect(port);
  timespec start{}, end{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
  const absl::Time until = absl::Now() + absl::Milliseconds(400);
  while (absl::Now() < until) absl::SleepFor(until - absl::Now());
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  // Some looks cost nearly nothing; spinning would cost all that the machine can spare.
  EXPECT_LT(absl::DurationFromTimespec(end) - absl::DurationFromTimespec(start), absl::Milliseconds(50));
  EXPECT_THAT(waits.Ask(kGet), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, ARequestThatIsTooLargeIsRefused) {
  const int port = Start({.max_request_bytes = 1024}).port();
  Client client(port);
  client.Say(absl::StrCat("GET /metrics HTTP/1.1\r\nX: ", std::string(4096, 'x')));
  EXPECT_THAT(client.Hear(), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Client(port).Ask(kGet), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, WhoSaysNothingOrNeverFinishesIsEnded) {
  const int port = Start({.request_patience = absl::Milliseconds(200)}).port();
  Client silent(port);
  Client slow(port);
  slow.Say("GET /met");
  EXPECT_THAT(Client(port).Ask(kGet), StartsWith("HTTP/1.1 200 ")) << "nobody waits for them";
  EXPECT_TRUE(silent.AwaitEnd(absl::Seconds(20)));
  EXPECT_TRUE(slow.AwaitEnd(absl::Seconds(20)));
  EXPECT_EQ(silent.Hear(), "");
  EXPECT_EQ(slow.Hear(), "");
}

// More than sockets hold, so that the server has to wait for the client.
class WideMetricsServerTest : public MetricsServerTest {
 protected:
  static constexpr size_t kSeries = kMaxSeriesPerMetric;
  const MetricSource source_{[](MetricWriter& out) {
    const std::string filler(400, 'f');
    for (size_t i = 0; i < kSeries; ++i) out.Value(kWide, 1, {absl::StrCat(i, filler)});
  }};
};

TEST_F(WideMetricsServerTest, AWholeAnswerArrivesHoweverLargeItIs) {
  const std::string answer = Client(Start({}).port()).Ask(kGet);
  EXPECT_GT(answer.size(), kSeries * 400);
  const size_t body = answer.find("\r\n\r\n") + 4;
  EXPECT_THAT(answer, HasSubstr(absl::StrCat("Content-Length: ", answer.size() - body, "\r\n")));
}

TEST_F(WideMetricsServerTest, WhoDoesNotReadTheAnswerIsEnded) {
  const int port = Start({.response_patience = absl::Milliseconds(300)}).port();
  Client client(port);
  client.Say(kGet);
  AwaitOpen(1);
  AwaitOpen(0);
  EXPECT_LT(client.Hear().size(), kSeries * 400);
}

TEST_F(MetricsServerTest, ManyConnectionsDoNotKeepAScrapeOut) {
  const int port = Start({.max_connections = 4, .request_patience = absl::Hours(1)}).port();
  std::vector<std::unique_ptr<Client>> crowd;
  for (int i = 0; i < 64; ++i) {
    crowd.push_back(std::make_unique<Client>(port));
    crowd.back()->Say("GET /met");
  }
  EXPECT_THAT(Client(port).Ask(kGet), StartsWith("HTTP/1.1 200 "));
  size_t ended = 0;
  for (const auto& client : crowd) ended += client->AwaitEnd(absl::ZeroDuration());
  EXPECT_GE(ended, 64u - 4u);
}

TEST_F(MetricsServerTest, WhoAsksWithoutEndGetsTheSameText) {
  int asked = 0;
  const MetricSource source([&](MetricWriter& out) {
    ++asked;
    out.Value(kWide, asked, {"x"});
  });
  const int port = Start({.max_age = absl::Hours(1)}).port();
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Client(port).Ask(kGet), HasSubstr("{kind=\"x\"} 1\n"));
}

TEST(MetricsServerStartTest, ListensOnLoopbackUnlessToldOtherwise) {
  for (const char* listen : {"0.0.0.0:0", "[::]:0", "10.1.2.3:0", "[::ffff:127.0.0.1]:0"}) {
    const auto refused = MetricsServer::Start({.listen = listen});
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << listen;
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("not loopback")) << listen;
  }
  const auto open = MetricsServer::Start({.listen = "0.0.0.0:0", .open_to_network = true});
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_THAT(Client((*open)->port()).Ask("GET /metrics HTTP/1.1\r\nHost: backend:9464\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(MetricsServer::Start({.listen = "localhost:0"}).ok());
  SetMetricsWanted(false);
}

TEST(MetricsServerStartTest, SaysWhatIsWrongWithAnAddress) {
  for (const char* listen : {"", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                             "not a name:1", ":9464", "127.0.0.1:-1"}) {
    EXPECT_EQ(MetricsServer::Start({.listen = listen}).status().code(), absl::StatusCode::kInvalidArgument)
        << listen;
  }
  const auto first = MetricsServer::Start({.listen = "127.0.0.1:0"});
  ASSERT_TRUE(first.ok());
  const auto second = MetricsServer::Start({.listen = absl::StrCat("127.0.0.1:", (*first)->port())});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("choose another"));
  SetMetricsWanted(false);
}

}  // namespace
}  // namespace keystead
