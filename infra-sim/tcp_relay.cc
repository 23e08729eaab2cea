#include "infra-sim/tcp_relay.h"

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "infra-sim/socket.h"
#include "infra-sim/tls_attacks.h"

namespace keystead::infra {
namespace {

class Connection {
 public:
  Connection(Socket client, Socket server) : client_(std::move(client)), server_(std::move(server)) {}

  // Callers hold the relay's mutex.
  void Close() {
    if (!closing_.HasBeenNotified()) closing_.Notify();
    shutdown(client_.fd(), SHUT_RDWR);
    shutdown(server_.fd(), SHUT_RDWR);
  }
  const Socket& client() const { return client_; }
  const Socket& server() const { return server_; }
  // Waits; false when the connection is being closed meanwhile.
  bool Sleep(absl::Duration duration) { return !closing_.WaitForNotificationWithTimeout(duration); }
  std::atomic<int> running = 2;  // directions

 private:
  const Socket client_;
  const Socket server_;
  absl::Notification closing_;
};

// One direction of a connection.
class Flow {
 public:
  Flow(Connection& connection, const Socket& from, const Socket& to, Direction direction,
       const std::string& listener, AttackEngine* engine)
      : connection_(connection),
        from_(from),
        to_(to),
        direction_(direction),
        listener_(listener),
        engine_(engine) {}

  void Run() {
    std::string buffer(64 << 10, '\0');
    for (;;) {
      const ssize_t got = recv(from_.fd(), buffer.data(), buffer.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      if (!Relay(std::string_view(buffer).substr(0, static_cast<size_t>(got)))) {
        shutdown(from_.fd(), SHUT_RDWR);
        break;
      }
    }
    if (!black_hole_ && !cut_) WriteAll(to_, held_ + splitter_.TakeRest());
    shutdown(to_.fd(), cut_ ? SHUT_RDWR : SHUT_WR);
    engine_->NoteEnd(attacked_);
  }

 private:
  bool Relay(std::string_view bytes) {
    if (black_hole_) return true;
    std::string out;
    for (std::string& record : splitter_.Feed(bytes)) {
      const auto decision = engine_->DecideTls(listener_, direction_, number_++, record);
      if (!decision.has_value()) {
        out += record;
        out += std::exchange(held_, {});
        continue;
      }
      attacked_.push_back(decision->serial);
      if (decision->delay > absl::ZeroDuration()) {
        if (!WriteAll(to_, std::exchange(out, {})) || !connection_.Sleep(decision->delay)) return false;
      }
      for (const std::string& piece : decision->records) (decision->hold_back ? held_ : out) += piece;
      black_hole_ = decision->black_hole;
      cut_ = decision->close;
      if (black_hole_ || cut_) break;
    }
    return WriteAll(to_, out) && !cut_;
  }

  Connection& connection_;
  const Socket& from_;
  const Socket& to_;
  const Direction direction_;
  const std::string& listener_;
  AttackEngine* const engine_;
  TlsRecordSplitter splitter_;
  std::vector<uint64_t> attacked_;  // injections
  std::string held_;                // a record waiting to be overtaken
  uint64_t number_ = 0;
  bool black_hole_ = false;
  bool cut_ = false;
};

}  // namespace

struct TcpRelay::State : std::enable_shared_from_this<TcpRelay::State> {
  TcpRelayOptions options;
  AttackEngine* engine = nullptr;
  Socket listener;
  std::thread acceptor;
  std::atomic<bool> stopping = false;
  absl::Mutex mutex;
  std::list<std::shared_ptr<Connection>> connections ABSL_GUARDED_BY(mutex);
  size_t threads ABSL_GUARDED_BY(mutex) = 0;

  // THREAD: acceptor. Connecting blocks it; a relay has one next hop, so nobody waits for another's.
  void Accept() {
    while (!stopping) {
      Socket client(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client.fd() < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (stopping) return;
        Log(LogLevel::kWarning, "relay_cannot_accept", {{"listener", options.name}, {"errno", errno}});
        std::this_thread::sleep_for(std::chrono::milliseconds(50));  // out of descriptors: let some close
        continue;
      }
      auto server = ConnectTcp(options.upstream);
      if (!server.ok()) {
        Log(LogLevel::kWarning, "relay_upstream_away",
            {{"listener", options.name}, {"reason", Std(server.status().message())}});
        continue;
      }
      Add(std::make_shared<Connection>(std::move(client), *std::move(server)));
    }
  }

  void Add(const std::shared_ptr<Connection>& connection) {
    absl::MutexLock lock(&mutex);
    if (stopping || connections.size() >= options.max_connections) return;  // closed by its destructor
    connections.push_back(connection);
    threads += 2;
    for (const Direction direction : {Direction::kUp, Direction::kDown}) {
      std::thread([self = shared_from_this(), connection, direction] {
        self->Relay(connection, direction);
      }).detach();
    }
  }

  // THREAD: one per connection and direction. ~TcpRelay waits for `threads` to become 0.
  void Relay(const std::shared_ptr<Connection>& connection, Direction direction) {
    const bool up = direction == Direction::kUp;
    Flow(*connection, up ? connection->client() : connection->server(),
         up ? connection->server() : connection->client(), direction, options.name, engine)
        .Run();
    absl::MutexLock lock(&mutex);
    if (--connection->running == 0) connections.remove(connection);
    --threads;
  }
};

absl::StatusOr<std::unique_ptr<TcpRelay>> TcpRelay::Start(const TcpRelayOptions& options,
                                                          AttackEngine* engine) {
  auto state = std::make_shared<State>();
  state->options = options;
  state->engine = engine;
  auto listener = ListenTcp(options.listen_address);
  if (!listener.ok()) {
    return absl::Status(listener.status().code(),
                        "relay " + options.name + ": " + std::string(Std(listener.status().message())));
  }
  state->listener = *std::move(listener);
  state->acceptor = std::thread([s = state.get()] { s->Accept(); });
  return std::unique_ptr<TcpRelay>(new TcpRelay(std::move(state)));
}

TcpRelay::TcpRelay(std::shared_ptr<State> state) : state_(std::move(state)) {}

TcpRelay::~TcpRelay() {
  state_->stopping = true;
  shutdown(state_->listener.fd(), SHUT_RDWR);
  state_->acceptor.join();
  CloseConnections();
  absl::MutexLock lock(&state_->mutex);
  state_->mutex.Await(absl::Condition(
      +[](State* s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(s->mutex) { return s->threads == 0; }, state_.get()));
}

const std::string& TcpRelay::name() const { return state_->options.name; }
int TcpRelay::port() const { return BoundPort(state_->listener); }

void TcpRelay::CloseConnections() {
  absl::MutexLock lock(&state_->mutex);
  for (const auto& connection : state_->connections) connection->Close();
}

}  // namespace keystead::infra
