// A relay at TCP level: forwards bytes between a listener and one next hop and sees only TLS records.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "infra-sim/engine.h"

namespace keystead::infra {

struct TcpRelayOptions {
  std::string name;               // in ArmRequest.listener
  std::string listen_address;     // host:port, numeric host; port 0: the system chooses
  std::string upstream;           // host:port, numeric or a name
  size_t max_connections = 1024;  // further ones are accepted and closed at once
};

// Two threads per connection, one per direction. A record is forwarded once it is complete, which costs no
// latency that its receiver would not spend anyway. Thread-safe; `engine` outlives it.
class TcpRelay {
 public:
  // UNAVAILABLE when the port is taken; INVALID_ARGUMENT for an address that is none.
  static absl::StatusOr<std::unique_ptr<TcpRelay>> Start(const TcpRelayOptions& options,
                                                         AttackEngine* engine);
  ~TcpRelay();  // closes all connections and waits for their threads
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;

  const std::string& name() const;
  int port() const;
  void CloseConnections();  // the listener stays: what a reboot of the box looks like

 private:
  struct State;
  explicit TcpRelay(std::shared_ptr<State> state);
  const std::shared_ptr<State> state_;  // shared with its threads
};

}  // namespace keystead::infra
