// Takes connections for a gRPC server: what the governor lets through is handed to gRPC as an open socket;
// what it does not is closed before a byte of TLS is read.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/observe/metrics.h"
#include "core/transport/grpc_names.h"
#include "core/transport/handshake_governor.h"
#include "core/transport/listeners.h"

namespace keystead {

// Wakes the acceptor's thread. Thread-safe.
class AcceptorWake {
 public:
  AcceptorWake();
  void Notify();
  void Clear();
  int fd() const { return fd_.get(); }  // readable after Notify until Clear; -1: the system gave none

 private:
  FileDescriptor fd_;
};

// A way into the server with TLS credentials of its own, through which one handshake goes at a time: gRPC
// does not say of which connection a handshake has succeeded, but whose credentials it was.
class AcceptorLane {
 public:
  explicit AcceptorLane(std::shared_ptr<AcceptorWake> wake) : wake_(std::move(wake)) {}
  // THREAD: any.
  void Succeeded() {
    succeeded_.store(true, std::memory_order_release);
    wake_->Notify();
  }
  bool TakeSucceeded() {
    return succeeded_.load(std::memory_order_relaxed) &&
           succeeded_.exchange(false, std::memory_order_acquire);
  }

 private:
  const std::shared_ptr<AcceptorWake> wake_;
  std::atomic<bool> succeeded_ = false;
};

class Acceptor {
 public:
  struct Lane {
    std::shared_ptr<AcceptorLane> signal;
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> door;
    int socket = -1;  // whose handshake goes through it now
  };
  // As many lanes as limits.at_once; a lane whose signal never comes makes its connections end when their
  // time for the handshake is over. Nothing happens before Start, which is called when the server has
  // started.
  Acceptor(const HandshakeLimits& limits, std::vector<FileDescriptor> listeners, std::vector<Lane> lanes,
           std::shared_ptr<AcceptorWake> wake);
  ~Acceptor();  // Stop()
  absl::Status Start();
  // Closes the listeners and what has not begun its handshake. To be called before the server shuts down:
  // gRPC would leave open what is handed to it afterwards. Idempotent.
  void Stop();

 private:
  struct Connection {
    FileDescriptor socket;
    int lane = -1;
  };
  // All on the acceptor's thread, which waits for nothing but these sockets.
  void Run();
  void Accept(int listener, absl::Duration now);
  void OnAcceptFailed(int error, absl::Duration now);
  bool IsListener(int fd) const;
  void OnSocket(int fd, bool readable, bool ended, absl::Duration now);
  void TakeSucceeded();
  void EndOverdue(absl::Duration now);
  void BeginWaiting(absl::Duration now);
  bool HandOver(int fd, Connection& connection);
  void End(int fd);    // closes our side; a connection that gRPC has goes on
  void Abort(int fd);  // ends the connection itself
  void NoteState();
  void CollectMetrics(MetricWriter& out) const;
  bool Watch(int fd, uint32_t events, int operation) const;
  void WatchListeners(bool on);
  int WaitMilliseconds(absl::Duration now);

  const HandshakeLimits limits_;
  HandshakeGovernor governor_;
  std::vector<FileDescriptor> listeners_;
  std::vector<Lane> lanes_;
  std::vector<int> free_lanes_;
  const std::shared_ptr<AcceptorWake> wake_;
  const Clock* const clock_ = &Clock::System();
  FileDescriptor epoll_;
  absl::flat_hash_map<int, Connection> connections_;  // by socket
  std::optional<absl::Duration> paused_until_;        // no files left
  std::atomic<bool> stopping_ = false;
  // Written by the acceptor's thread.
  std::atomic<uint64_t> refused_{0}, begun_{0}, succeeded_{0}, failed_{0}, given_up_{0}, pending_{0},
      under_way_{0};
  std::thread thread_;
  const MetricSource metrics_{[this](MetricWriter& out) { CollectMetrics(out); }};
};

}  // namespace keystead
