// GET /metrics over plain HTTP/1.1 (RFC 9112), and nothing else.
//
// What is served is the provider's or the operator's own and nobody is asked who they are, so it listens on
// loopback only, unless told in so many words to give it to the network. Whoever reaches it may be hostile:
// connections, the bytes of a request, the time for it and for taking the answer are bounded, and the answer
// is made at most ten times a second. A page in a browser on the same machine learns nothing: on loopback the
// Host of a request must be loopback too, which a name that was made to point there is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace keystead {

struct MetricsServerOptions {
  std::string listen;            // as core/base/listen_address.h reads it
  bool open_to_network = false;  // other addresses than loopback, "0.0.0.0" and "[::]" included

  size_t max_connections = 16;  // beyond, the one that has asked for nothing for longest goes
  size_t max_request_bytes = 8 << 10;
  absl::Duration request_patience = absl::Seconds(5);    // from the connection to the end of the request
  absl::Duration response_patience = absl::Seconds(10);  // to take all of the answer
  absl::Duration max_age = absl::Milliseconds(100);      // who asks again within it gets the same text
};

class MetricsServer {
 public:
  // INVALID_ARGUMENT: not an address and port, or not loopback. UNAVAILABLE: it cannot be bound. One line
  // that says what to do.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const MetricsServerOptions& options);
  ~MetricsServer();  // ends what is open
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  int port() const;
  size_t open_connections() const;  // now

 private:
  class Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace keystead
