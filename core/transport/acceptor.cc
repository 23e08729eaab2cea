#include "core/transport/acceptor.h"

#include <fcntl.h>
#include <grpcpp/server_builder.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/observe/log.h"

namespace keystead {
namespace {

constexpr int kEvents = 64;
constexpr int kAcceptsAtOnce = 64;  // then the others have their turn
constexpr absl::Duration kPause = absl::Milliseconds(100);

constexpr Metric kHandshakes = {
    "keystead_handshakes_total",
    "New connections: refused before TLS, begun, of these succeeded and failed, and given up "
    "because they did not go on.",
    MetricType::kCounter,
    {"outcome"}};
constexpr Metric kPending = {"keystead_handshakes_pending_connections",
                             "Connections that are not through TLS yet.", MetricType::kGauge};
constexpr Metric kUnderWay = {"keystead_handshakes_under_way_connections",
                              "Of these, those whose handshake has begun.", MetricType::kGauge};

// Of one thread's own counters.
void Add(std::atomic<uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

// A reset costs neither side a wait, and the client knows at once.
void ResetOnClose(int fd) {
  const linger at_once{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

}  // namespace

AcceptorWake::AcceptorWake() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
void AcceptorWake::Notify() {
  const uint64_t one = 1;
  // Fails only where it is readable already.
  [[maybe_unused]] const ssize_t written = write(fd_.get(), &one, sizeof(one));
}
void AcceptorWake::Clear() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(fd_.get(), &count, sizeof(count));
}

Acceptor::Acceptor(const HandshakeLimits& limits, std::vector<FileDescriptor> listeners,
                   std::vector<Lane> lanes, std::shared_ptr<AcceptorWake> wake)
    : limits_(limits),
      governor_(limits),
      listeners_(std::move(listeners)),
      lanes_(std::move(lanes)),
      wake_(std::move(wake)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  for (size_t i = lanes_.size(); i > 0; --i) free_lanes_.push_back(static_cast<int>(i - 1));
}

Acceptor::~Acceptor() { Stop(); }

bool Acceptor::Watch(int fd, uint32_t events, int operation) const {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  return epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
}

absl::Status Acceptor::Start() {
  bool watched = epoll_ && wake_->fd() >= 0 && Watch(wake_->fd(), EPOLLIN, EPOLL_CTL_ADD);
  for (const FileDescriptor& listener : listeners_)
    watched = watched && Watch(listener.get(), EPOLLIN, EPOLL_CTL_ADD);
  if (!watched) return absl::ResourceExhaustedError("no open files left; raise the limit (ulimit -n)");
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Acceptor::Stop() {
  stopping_.store(true);
  wake_->Notify();
  if (thread_.joinable()) thread_.join();
  listeners_.clear();
  for (const auto& [fd, connection] : connections_) {
    if (connection.lane < 0) ResetOnClose(fd);
  }
  connections_.clear();
  for (const SecurityEvent& event : governor_.TakeEvents(clock_->Uptime(), true)) Report(event);
}

void Acceptor::Run() {
  std::array<epoll_event, kEvents> events{};
  while (!stopping_.load()) {
    const int wait = WaitMilliseconds(clock_->Uptime());
    const int count = epoll_wait(epoll_.get(), events.data(), kEvents, wait);
    const absl::Duration now = clock_->Uptime();
    // First of all: who has succeeded is not ended for being slow.
    TakeSucceeded();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      const int fd = event.data.fd;
      if (connections_.contains(fd))
        OnSocket(fd, (event.events & EPOLLIN) != 0, (event.events & (EPOLLHUP | EPOLLERR)) != 0, now);
    }
    // Last: a new connection may have the number of one that has just ended.
    for (int i = 0; i < count; ++i) {
      if (IsListener(events[static_cast<size_t>(i)].data.fd))
        Accept(events[static_cast<size_t>(i)].data.fd, now);
    }
    if (paused_until_.has_value() && now >= *paused_until_) WatchListeners(true);
    EndOverdue(now);
    BeginWaiting(now);
    for (const SecurityEvent& event : governor_.TakeEvents(now)) Report(event);
    NoteState();
  }
}

void Acceptor::NoteState() {
  pending_.store(governor_.pending(), std::memory_order_relaxed);
  under_way_.store(governor_.under_way(), std::memory_order_relaxed);
}

void Acceptor::CollectMetrics(MetricWriter& out) const {
  const auto get = [](const std::atomic<uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  out.Value(kHandshakes, get(refused_), {"refused"});
  out.Value(kHandshakes, get(begun_), {"begun"});
  out.Value(kHandshakes, get(succeeded_), {"succeeded"});
  out.Value(kHandshakes, get(failed_), {"failed"});
  out.Value(kHandshakes, get(given_up_), {"given_up"});
  out.Value(kPending, get(pending_));
  out.Value(kUnderWay, get(under_way_));
}

bool Acceptor::IsListener(int fd) const {
  return std::any_of(listeners_.begin(), listeners_.end(),
                     [fd](const FileDescriptor& listener) { return listener.get() == fd; });
}

int Acceptor::WaitMilliseconds(absl::Duration now) {
  absl::Duration wait = governor_.NextLook(now);
  if (paused_until_.has_value()) wait = std::min(wait, *paused_until_ - now);
  return static_cast<int>(absl::ToInt64Milliseconds(std::max(wait, absl::ZeroDuration()))) + 1;
}

void Acceptor::WatchListeners(bool on) {
  paused_until_ = std::nullopt;
  for (const FileDescriptor& listener : listeners_) Watch(listener.get(), on ? EPOLLIN : 0, EPOLL_CTL_MOD);
}

void Acceptor::Accept(int listener, absl::Duration now) {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    FileDescriptor socket(
        accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return OnAcceptFailed(errno, now);
    const AddressRange address =
        AddressRange::Of(reinterpret_cast<const sockaddr&>(peer), limits_.ipv4_prefix, limits_.ipv6_prefix);
    const int fd = socket.get();
    if (!governor_.Arrive(fd, address, now)) {
      Add(refused_);
      ResetOnClose(fd);
      continue;
    }
    connections_[fd].socket = std::move(socket);
    if (!Watch(fd, EPOLLIN, EPOLL_CTL_ADD)) Abort(fd);
    EndOverdue(now);
  }
}

void Acceptor::OnAcceptFailed(int error, absl::Duration now) {
  if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) return;  // nobody, or gone
  // The connection stays in the kernel's queue, which would wake this thread again and again.
  Log(LogLevel::kError, "cannot_accept", {{"reason", std::strerror(error)}});
  if (const auto silent = governor_.LongestSilent(); silent.has_value()) Abort(*silent);
  WatchListeners(false);
  paused_until_ = now + kPause;
}

void Acceptor::OnSocket(int fd, bool readable, bool ended, absl::Duration now) {
  if (ended) {
    if (connections_[fd].lane >= 0) {
      Add(failed_);
      governor_.Fail(fd);
    }
    return Abort(fd);
  }
  if (!readable || connections_[fd].lane >= 0) return;
  char first = 0;
  const ssize_t got = recv(fd, &first, 1, MSG_PEEK);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return Abort(fd);
  governor_.Hear(fd, now);
  if (!Watch(fd, 0, EPOLL_CTL_MOD)) Abort(fd);  // its end is told also so
}

void Acceptor::TakeSucceeded() {
  wake_->Clear();
  for (const Lane& lane : lanes_) {
    if (lane.socket < 0 || !lane.signal->TakeSucceeded()) continue;
    Add(succeeded_);
    End(lane.socket);
  }
}

void Acceptor::EndOverdue(absl::Duration now) {
  while (const auto id = governor_.Overdue(now)) {
    Add(given_up_);
    Abort(*id);
  }
}

void Acceptor::BeginWaiting(absl::Duration now) {
  while (!free_lanes_.empty()) {
    const auto id = governor_.Begin(now);
    if (!id.has_value()) return;
    if (!HandOver(*id, connections_[*id])) Abort(*id);
  }
}

// gRPC gets a second descriptor of the socket: through ours its end is seen, and can be brought about. gRPC
// always shuts a socket down before it closes it, so ours does not keep the connection alive.
bool Acceptor::HandOver(int fd, Connection& connection) {
  FileDescriptor theirs(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!theirs) return false;
  connection.lane = free_lanes_.back();
  free_lanes_.pop_back();
  Add(begun_);
  Lane& lane = lanes_[static_cast<size_t>(connection.lane)];
  lane.socket = fd;
  lane.signal->TakeSucceeded();  // of one that was given up on at the last moment
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.fd = theirs.Release();
  lane.door->HandleNewConnection(&parameters);
  return true;
}

void Acceptor::End(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  if (found->second.lane >= 0) {
    lanes_[static_cast<size_t>(found->second.lane)].socket = -1;
    free_lanes_.push_back(found->second.lane);
  }
  Watch(fd, 0, EPOLL_CTL_DEL);  // closing does not, as long as gRPC has its descriptor
  governor_.End(fd);
  connections_.erase(found);
}

void Acceptor::Abort(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  if (found->second.lane >= 0) {
    shutdown(fd, SHUT_RDWR);  // gRPC sees it and closes its own
  } else {
    ResetOnClose(fd);
  }
  End(fd);
}

}  // namespace keystead
