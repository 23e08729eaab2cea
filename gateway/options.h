// What a gateway is told at start-up.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/identity/certificate_files.h"
#include "core/transport/backoff.h"
#include "core/transport/handshake_governor.h"

namespace rocksdb {
class FileSystem;
}

namespace CLI {
class App;
}

namespace keystead::gateway {

struct GatewayOptions {
  std::string listen = "127.0.0.1:7443";
  CertificateFiles files;    // chain and key for both sides; roots: the tenant's CA, for the LAN
  CertificateFiles factory;  // with it the gateway gets chain and key itself; roots unused; may be empty
  std::string upstream;      // host:port of the next hop
  std::string upstream_id;
  std::string upstream_roots;
  std::string denied_servers;
  std::string state;
  std::string label_out;
  bool reset = false;
  uint64_t queue_bytes = uint64_t{256} << 20;
  uint64_t history_bytes = uint64_t{4} << 20;
  std::string deny_list;
  bool observer = false;       // administrators may look at what is stored of a record (proto observer.proto)
  HandshakeLimits handshakes;  // of the LAN, by source address, before TLS
  double stats_seconds = 10;
  double flush_seconds = 5;

  // Not on the command line. ------------------------------------------------------------------------------
  BackoffOptions backoff{.initial = absl::Milliseconds(200), .max = absl::Seconds(10)};
  absl::Duration retry_refused = absl::Seconds(1);   // doubles with each try
  size_t queue_memory_bytes = 16 << 20;              // of the queue kept in memory as well
  std::shared_ptr<rocksdb::FileSystem> file_system;  // for tests of the store
  const Clock* clock = &Clock::System();             // of offers, terms, drains and rates
  std::function<bool()> stop;                        // asked while Start waits for a certificate
};

void AddOptions(CLI::App& app, GatewayOptions& options);

}  // namespace keystead::gateway
