// Starting and stopping a gRPC server in the one way all programs do it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/limits.h"
#include "core/identity/principal.h"
#include "core/transport/acceptor.h"
#include "core/transport/authorization.h"
#include "core/transport/grpc_names.h"
#include "core/transport/handshake_governor.h"
#include "core/transport/tls_credentials.h"

namespace keystead {

struct ServerOptions {
  // "127.0.0.1:7443", "[::]:7443", "10.0.0.1,[fd00::1]:7443"; port 0 lets the system choose
  std::string listen_address;
  ServerCredentialsFactory credentials;  // from MakeServerCredentials
  HandshakeLimits handshakes;            // by source address, before TLS
  std::shared_ptr<const PrincipalResolver> resolver;
  AuthorizationPolicy policy;
  std::vector<grpc::Service*> services;  // at least one; not owned; must outlive the server

  size_t max_message_bytes =
      limits::kMaxMessageBytes;               // received; larger ones end the call, RESOURCE_EXHAUSTED
  int max_concurrent_streams = 256;           // per connection; a client queues above it
  size_t memory_quota_bytes = 0;              // 0: none. Above it calls end with RESOURCE_EXHAUSTED
  size_t stream_lookahead_bytes = 256 << 10;  // HTTP/2 flow control: what an unread stream may pile up here
};

// A listening server. Destroying it shuts it down with a grace of one second.
class RunningServer {
 public:
  RunningServer(std::unique_ptr<grpc::Server> server, std::unique_ptr<Acceptor> acceptor, std::string host,
                int port);
  RunningServer(RunningServer&&) noexcept;
  RunningServer& operator=(RunningServer&&) noexcept;
  ~RunningServer();

  int port() const { return port_; }
  std::string address() const;    // host:port as bound, what a client dials
  void SetServing(bool serving);  // grpc.health.v1, for all services
  // Stops accepting, lets calls finish for `grace`, then cancels the rest and returns when every reactor has
  // called Finish; one that never does makes this wait for ever. Idempotent.
  void Shutdown(absl::Duration grace);
  grpc::Server* grpc_server() { return server_.get(); }  // null after Shutdown

 private:
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Acceptor> acceptor_;
  std::string host_;
  int port_ = 0;
};

// UNAVAILABLE, "cannot listen on …: " with why and what to do, when the address cannot be bound;
// INVALID_ARGUMENT for missing credentials, resolver or services, or limits that let nobody in. The default
// health service is on, reflection is not linked. Two servers never share a port (SO_REUSEPORT is off).
absl::StatusOr<RunningServer> StartServer(const ServerOptions& options);

}  // namespace keystead
