// The gateway's own identity and its ways to the next hop. With a factory identity it gets its operational
// certificate itself and keeps it good (core/transport/enroller.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "core/identity/certificate_files.h"
#include "core/identity/spiffe_id.h"
#include "core/transport/enroller.h"
#include "core/transport/hop_channel.h"
#include "gateway/options.h"

namespace keystead::gateway {

class Upstream {
 public:
  // Waits for a certificate where the gateway has none that is good: without one it cannot serve. One-line
  // errors that name the file or option; CANCELLED when options.stop said so meanwhile.
  static absl::StatusOr<std::unique_ptr<Upstream>> Open(const GatewayOptions& options);
  ~Upstream();  // Stop()

  const SpiffeId& self() const { return self_; }
  // A connection of its own; follows new certificates. Not after Start.
  HopChannel Dial();
  void Start();
  void Stop();  // idempotent

  // How a call upstream ended. THREAD: any.
  void OnEnded(const absl::Status& status);
  void OnConnected() { refused_ = 0; }

 private:
  explicit Upstream(const GatewayOptions& options) : options_(options) {}
  absl::Status Enroll();
  CertificateFiles files() const {
    return {options_.files.chain, options_.files.key, options_.upstream_roots, options_.denied_servers};
  }

  const GatewayOptions options_;
  PeerExpectation server_;
  SpiffeId self_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::vector<HopChannel> channels_;
  std::unique_ptr<Enroller> enroller_;  // null without a factory identity
  std::atomic<int> refused_ = 0;        // times in a row that the hop did not accept the certificate
};

}  // namespace keystead::gateway
