#include "core/observe/metrics_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/file_descriptor.h"
#include "core/base/listen_address.h"
#include "core/base/status.h"
#include "core/observe/metrics.h"
#include "core/observe/metrics_request.h"

namespace keystead {
namespace {

constexpr int kBacklog = 16;
constexpr size_t kReadBytes = 4 << 10;
// After the answer, what is still under way is taken in for so long: a reset would take the answer back.
constexpr absl::Duration kLastWords = absl::Seconds(1);
constexpr absl::Duration kWithoutFiles = absl::Milliseconds(100);

struct Bound {
  FileDescriptor socket;
  int port = 0;
  bool is_loopback = false;
};

absl::StatusOr<Bound> Bind(const MetricsServerOptions& options) {
  const absl::StatusOr<ListenAddress> listen_on = ParseListenAddress(options.listen);
  if (!listen_on.ok())
    return absl::InvalidArgumentError(absl::StrCat("metrics: ", listen_on.status().message()));
  if (!options.open_to_network && !listen_on->is_loopback) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics: ", options.listen,
                     " is not loopback: whoever reaches it would read them, of all tenants. Give a loopback "
                     "address, or say that this is wanted (--help has the option)"));
  }
  const auto failed = [&] {
    return absl::UnavailableError(
        absl::StrCat("metrics: cannot listen on ", options.listen, ": ", std::strerror(errno),
                     "; choose another address or port (port 0 lets the system choose)"));
  };
  const auto& address = reinterpret_cast<const sockaddr&>(listen_on->socket_address);
  Bound out;
  out.is_loopback = listen_on->is_loopback;
  out.socket = FileDescriptor(socket(address.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int one = 1;
  if (!out.socket || setsockopt(out.socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
      bind(out.socket.get(), &address, listen_on->socket_address_size) != 0 ||
      listen(out.socket.get(), kBacklog) != 0)
    return failed();
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(out.socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) return failed();
  out.port = ntohs(bound.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(bound).sin_port
                                              : reinterpret_cast<const sockaddr_in6&>(bound).sin6_port);
  return out;
}

}  // namespace

// All on one thread, which waits for nothing but these sockets.
class MetricsServer::Impl {
 public:
  Impl(const MetricsServerOptions& options, Bound bound)
      : options_(options),
        listener_(std::move(bound.socket)),
        port_(bound.port),
        is_loopback_(bound.is_loopback),
        wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        thread_([this] { Run(); }) {}
  ~Impl() {
    stopping_ = true;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
    thread_.join();
  }
  int port() const { return port_; }
  size_t open_connections() const { return open_; }

 private:
  enum class State { kReading, kAnswering, kEnding };
  struct Connection {
    FileDescriptor socket;
    State state = State::kReading;
    absl::Duration deadline;
    std::string request;
    std::string head;
    std::shared_ptr<const std::string> body;
    size_t sent = 0;
  };
  using Connections = std::list<Connection>;  // oldest first

  void Run();
  void Accept(absl::Duration now);
  bool MakeRoom();
  // False: it is over.
  bool Serve(Connection& connection, absl::Duration now);
  bool Read(Connection& connection, absl::Duration now);
  void Answer(Connection& connection, MetricsAnswer answer, absl::Duration now);
  bool Send(Connection& connection, absl::Duration now);
  static bool Discard(const Connection& connection);
  int WaitMilliseconds(absl::Duration now) const;
  std::shared_ptr<const std::string> Text(absl::Duration now);

  const MetricsServerOptions options_;
  const Clock& clock_ = Clock::System();
  const FileDescriptor listener_;
  const int port_;
  const bool is_loopback_;
  const FileDescriptor wake_;
  Connections connections_;
  std::shared_ptr<const std::string> text_;
  absl::Duration text_at_;
  absl::Duration accept_at_;  // not before: there was no file for a connection
  std::atomic<size_t> open_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // uses all the others
};

void MetricsServer::Impl::Run() {
  std::vector<pollfd> polled;
  while (!stopping_) {
    const bool accepts = accept_at_ <= clock_.Uptime();  // a negative descriptor is not looked at
    polled.assign({{wake_.get(), POLLIN, 0}, {accepts ? listener_.get() : -1, POLLIN, 0}});
    for (const Connection& connection : connections_) {
      const short events = connection.state == State::kAnswering ? POLLOUT : POLLIN;
      polled.push_back({connection.socket.get(), events, 0});
    }
    poll(polled.data(), polled.size(), WaitMilliseconds(clock_.Uptime()));
    const absl::Duration now = clock_.Uptime();
    size_t index = 2;
    for (auto at = connections_.begin(); at != connections_.end();) {
      const bool ready = polled[index++].revents != 0;
      const bool open = (!ready || Serve(*at, now)) && now < at->deadline;
      at = open ? std::next(at) : connections_.erase(at);
    }
    if (polled[1].revents != 0) Accept(now);
    open_ = connections_.size();
  }
}

int MetricsServer::Impl::WaitMilliseconds(absl::Duration now) const {
  absl::Duration until = absl::InfiniteDuration();
  if (accept_at_ > now) until = accept_at_;
  for (const Connection& connection : connections_) until = std::min(until, connection.deadline);
  if (until == absl::InfiniteDuration()) return -1;
  return static_cast<int>(absl::ToInt64Milliseconds(std::max(until - now, absl::ZeroDuration()))) + 1;
}

void MetricsServer::Impl::Accept(absl::Duration now) {
  for (size_t i = 0; i < options_.max_connections; ++i) {
    FileDescriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
      accept_at_ = now + kWithoutFiles;
    if (!socket) return;
    if (connections_.size() >= options_.max_connections && !MakeRoom()) continue;  // it is closed
    Connection& connection = connections_.emplace_back();
    connection.socket = std::move(socket);
    connection.deadline = now + options_.request_patience;
    // A request that came with the connection is answered before others can push it out.
    if (!Serve(connection, now)) connections_.pop_back();
  }
}

// Whoever is being answered is let go on: its patience is bounded too.
bool MetricsServer::Impl::MakeRoom() {
  const auto oldest =
      std::ranges::find_if(connections_, [](const Connection& c) { return c.state != State::kAnswering; });
  if (oldest == connections_.end()) return false;
  connections_.erase(oldest);
  return true;
}

bool MetricsServer::Impl::Serve(Connection& connection, absl::Duration now) {
  switch (connection.state) {
    case State::kReading:
      return Read(connection, now);
    case State::kAnswering:
      return Send(connection, now);
    case State::kEnding:
      return Discard(connection);
  }
  return false;
}

bool MetricsServer::Impl::Read(Connection& connection, absl::Duration now) {
  std::array<char, kReadBytes> buffer{};
  const size_t room = options_.max_request_bytes - connection.request.size();
  const ssize_t got = recv(connection.socket.get(), buffer.data(), std::min(room, buffer.size()), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  connection.request.append(buffer.data(), static_cast<size_t>(got));
  const size_t end = EndOfRequestHead(connection.request);
  if (end != std::string_view::npos) {
    const auto head = std::string_view(connection.request).substr(0, end);
    Answer(connection, JudgeMetricsRequest(head, is_loopback_), now);
  } else if (connection.request.size() >= options_.max_request_bytes) {
    Answer(connection, MetricsAnswer::kTooLarge, now);
  } else {
    return true;
  }
  return Send(connection, now);
}

void MetricsServer::Impl::Answer(Connection& connection, MetricsAnswer answer, absl::Duration now) {
  connection.body = answer == MetricsAnswer::kMetrics
                        ? Text(now)
                        : std::make_shared<const std::string>(MetricsRefusalText(answer));
  connection.head = MetricsResponseHead(answer, connection.body->size());
  connection.request = std::string();
  connection.state = State::kAnswering;
  connection.deadline = clock_.Uptime() + options_.response_patience;
}

bool MetricsServer::Impl::Send(Connection& connection, absl::Duration now) {
  const size_t whole = connection.head.size() + connection.body->size();
  while (connection.sent < whole) {
    const bool in_head = connection.sent < connection.head.size();
    const std::string& from = in_head ? connection.head : *connection.body;
    const size_t offset = in_head ? connection.sent : connection.sent - connection.head.size();
    const ssize_t sent = send(connection.socket.get(), from.data() + offset, from.size() - offset,
                              MSG_NOSIGNAL | (in_head ? MSG_MORE : 0));
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    connection.sent += static_cast<size_t>(sent);
  }
  connection.body.reset();
  shutdown(connection.socket.get(), SHUT_WR);
  connection.state = State::kEnding;
  connection.deadline = now + kLastWords;
  return true;
}

bool MetricsServer::Impl::Discard(const Connection& connection) {
  std::array<char, kReadBytes> buffer{};
  const ssize_t got = recv(connection.socket.get(), buffer.data(), buffer.size(), 0);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

std::shared_ptr<const std::string> MetricsServer::Impl::Text(absl::Duration now) {
  if (text_ == nullptr || now - text_at_ >= options_.max_age) {
    text_ = std::make_shared<const std::string>(RenderMetrics());
    text_at_ = clock_.Uptime();
  }
  return text_;
}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(const MetricsServerOptions& options) {
  KS_ASSIGN_OR_RETURN(Bound bound, Bind(options));
  SetMetricsWanted(true);
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::make_unique<Impl>(options, std::move(bound))));
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MetricsServer::~MetricsServer() = default;
int MetricsServer::port() const { return impl_->port(); }
size_t MetricsServer::open_connections() const { return impl_->open_connections(); }

}  // namespace keystead
