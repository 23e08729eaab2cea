// A running gateway: the parts of this folder put together, started and stopped in the right order.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "core/program/program.h"
#include "core/transport/transport_service.h"
#include "gateway/downlink.h"
#include "gateway/forwarder.h"
#include "gateway/lan_hop.h"
#include "gateway/options.h"

namespace keystead::gateway {

struct GatewayStats {
  TransportServiceStats service;
  LanHop::Stats lan;
  Forwarder::Stats up;
  Downlink::Stats down;
  uint64_t keyrings_rewritten = 0;  // to bound their history
};

class Gateway {
 public:
  // Returns when the LAN is served. One-line errors that name the file or option.
  static absl::StatusOr<std::unique_ptr<Gateway>> Start(const GatewayOptions& options);
  ~Gateway();  // Stop(0)

  int port() const;
  GatewayStats GetStats() const;
  void LogStats() const;

  // Stops serving, forwards what is queued for at most `flush`, closes the store. Idempotent.
  void Stop(absl::Duration flush);

 private:
  class Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

// The program: until SIGTERM or SIGINT.
absl::Status RunGateway(const GatewayOptions& options, Program& program);

}  // namespace keystead::gateway
