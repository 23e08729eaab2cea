// The server against peers that mean no good: what each costs, and that the others are served meanwhile.
#include "mobile-stub/console/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/unit/mobile_stub/console/peer.h"

namespace keystead::console {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using testing::kPatience;
using testing::Peer;

HttpLimits Tight() {
  HttpLimits limits;
  limits.connections = 4;
  limits.head_bytes = 2048;
  limits.head_lines = 16;
  limits.target_bytes = 200;
  limits.body_bytes = 1000;
  limits.request = absl::Milliseconds(400);
  limits.idle = absl::Milliseconds(400);
  limits.write = absl::Milliseconds(400);
  return limits;
}

class HttpServerTest : public ::testing::Test {
 protected:
  void Serve(const HttpLimits& limits, HttpHandler handler) {
    absl::StatusOr<std::unique_ptr<HttpServer>> server =
        HttpServer::Listen("127.0.0.1", 0, limits, std::move(handler));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  // Tells what it was asked.
  static HttpResponse Echo(HttpRequest& request) {
    HttpResponse response;
    response.type = "text/plain";
    response.body = request.method + " " + request.path + " " + std::to_string(request.body.size());
    for (const auto& [name, value] : request.headers) response.body += " " + name + "=" + value;
    return response;
  }
  void ServeEcho() { Serve(Tight(), Echo); }
  std::unique_ptr<Peer> Connect() { return std::make_unique<Peer>(server_->port()); }
  std::string Ask(std::string_view text) {
    Peer peer(server_->port());
    peer.Send(text);
    return peer.Read("\r\n\r\n");
  }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, ServesSeveralRequestsOnOneConnection) {
  ServeEcho();
  Peer peer(server_->port());
  peer.Send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(peer.Read("GET /a"), StartsWith("HTTP/1.1 200"));
  peer.Send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_THAT(peer.Read("POST /b 5"), HasSubstr("POST /b 5"));
}

TEST_F(HttpServerTest, AHeadWithTooManyLinesIsRefused) {
  ServeEcho();
  std::string head = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 40; ++i) head += "a: b\r\n";
  Peer peer(server_->port());
  peer.Send(head);
  EXPECT_THAT(peer.ReadToEnd(), StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpServerTest, AHeadThatIsTooLongIsRefusedBeforeItEnds) {
  ServeEcho();
  Peer peer(server_->port());
  peer.Send("GET / HTTP/1.1\r\na: " + std::string(3000, 'x'));
  EXPECT_THAT(peer.ReadToEnd(), StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpServerTest, ATargetThatIsTooLongIsRefused) {
  ServeEcho();
  EXPECT_THAT(Ask("GET /" + std::string(500, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 414"));
}

TEST_F(HttpServerTest, ABodyThatIsTooLongIsRefusedWhetherAnnouncedOrNot) {
  ServeEcho();
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  std::string chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) chunked += "64\r\n" + std::string(100, 'x') + "\r\n";
  EXPECT_THAT(Ask(chunked + "0\r\n\r\n"), StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, NoBodyIsUnpackedAndNoFormTakenApart) {
  ServeEcho();
  // Ten bytes that begin as gzip does: they arrive as they are.
  const std::string packed("\x1f\x8b\x08\0\0\0\0\0\0\0", 10);
  Peer peer(server_->port());
  peer.Send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n" + packed);
  EXPECT_THAT(peer.Read("POST /p"), HasSubstr("POST /p 10"));
  peer.Send(
      "POST /f HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: "
      "3\r\n\r\n--b");
  EXPECT_THAT(peer.Read("POST /f"), HasSubstr("POST /f 3"));
}

TEST_F(HttpServerTest, ARequestThatTricklesIsCutOffAndOthersAreServed) {
  ServeEcho();
  Peer slow(server_->port());
  slow.Send("GET / HT");
  EXPECT_THAT(Ask("GET /other HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  // A byte now and then does not prolong it: the time is that of the whole request.
  const absl::Time begun = absl::Now();
  std::string got;
  while (!slow.closed() && absl::Now() - begun < kPatience) {
    if (!slow.Send("T")) break;
    absl::SleepFor(absl::Milliseconds(50));
    Peer probe(server_->port());  // nobody else is kept out
    probe.Send("GET /probe HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(probe.Read(), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_LT(absl::Now() - begun, absl::Seconds(10)) << "it was never cut off";
}

TEST_F(HttpServerTest, OneConnectionTooManyIsTurnedAwayAtOnce) {
  HttpLimits limits = Tight();
  limits.idle = absl::Minutes(5);
  Serve(limits, Echo);
  std::vector<std::unique_ptr<Peer>> held;
  for (size_t i = 0; i < limits.connections; ++i) {
    held.push_back(Connect());
    held.back()->Send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(held.back()->Read("GET /held"), HasSubstr("200"));
  }
  Peer extra(server_->port());
  extra.Send("GET /extra HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(extra.ReadToEnd(), StartsWith("HTTP/1.1 503"));
  held.pop_back();  // gives its place up
  const absl::Time deadline = absl::Now() + kPatience;
  std::string answer;
  while (!answer.starts_with("HTTP/1.1 200") && absl::Now() < deadline) {
    answer = Ask("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, AReaderThatTakesNothingIsLetGo) {
  std::atomic<uint64_t> pieces{0};
  absl::Notification ended;
  Serve(Tight(), [&](HttpRequest&) {
    HttpResponse response;
    response.type = "text/event-stream";
    const std::shared_ptr<void> end(nullptr, [&](void*) { ended.Notify(); });
    response.stream = [&pieces, end](std::string& piece) {
      piece.assign(1 << 16, 'x');
      ++pieces;
      return true;
    };
    return response;
  });
  Peer peer(server_->port());
  peer.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");  // and reads nothing
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kPatience)) << "the stream goes on after " << pieces;
  EXPECT_LT(pieces, 1000u) << "more than the sockets hold was made for it";
}

TEST_F(HttpServerTest, WhoTakesNothingOfALargeAnswerKeepsNoThread) {
  HttpLimits limits = Tight();
  limits.connections = 1;
  Serve(limits, [](HttpRequest& request) {
    HttpResponse response;
    response.body = request.path == "/large" ? std::string(size_t{64} << 20, 'x') : "small";
    return response;
  });
  Peer greedy(server_->port());
  greedy.Send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  greedy.Read("x");  // it has the only thread, and reads no more
  const auto ask = [&] { return Ask("GET /small HTTP/1.1\r\nHost: x\r\n\r\n"); };
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 503"));
  const absl::Time deadline = absl::Now() + kPatience;
  std::string answer;
  while (!answer.starts_with("HTTP/1.1 200") && absl::Now() < deadline) answer = ask();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, AReaderThatGoesAwayInSilenceIsNoticed) {
  absl::Notification ended;
  Serve(Tight(), [&](HttpRequest&) {
    HttpResponse response;
    const std::shared_ptr<void> end(nullptr, [&](void*) { ended.Notify(); });
    response.stream = [end, first = true](std::string& piece) mutable {
      if (first) piece = "hello";
      first = false;
      absl::SleepFor(absl::Milliseconds(10));  // as a model that has nothing to say
      return true;
    };
    return response;
  });
  auto peer = Connect();
  peer->Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(peer->Read("hello"), HasSubstr("hello"));
  peer.reset();
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
}

TEST_F(HttpServerTest, StopEndsIdleConnectionsAndStreams) {
  HttpLimits limits = Tight();
  limits.idle = absl::Minutes(5);
  Serve(limits, [](HttpRequest&) {
    HttpResponse response;
    response.stream = [](std::string& piece) {
      piece = "x";
      absl::SleepFor(absl::Milliseconds(10));
      return true;
    };
    return response;
  });
  Peer idle(server_->port());
  Peer reading(server_->port());
  reading.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  reading.Read("x");
  const absl::Time begun = absl::Now();
  server_->Stop();
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5));
  reading.ReadToEnd();
  idle.ReadToEnd();
}

TEST_F(HttpServerTest, ThePortIsNotShared) {
  ServeEcho();
  const auto second = HttpServer::Listen("127.0.0.1", server_->port(), Tight(), Echo);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--listen"));
}

}  // namespace
}  // namespace keystead::console
