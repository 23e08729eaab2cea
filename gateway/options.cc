#include "gateway/options.h"

#include <CLI/CLI.hpp>

#include "core/program/handshake_options.h"
#include "core/program/program.h"

namespace keystead::gateway {

void AddOptions(CLI::App& app, GatewayOptions& options) {
  const CLI::AsSizeValue bytes(false);  // 64MB is 64 · 2^20
  app.add_option("--listen", options.listen, "Address for the LAN; port 0 lets the system choose")
      ->capture_default_str();
  AddCertificateOptions(app, options.files);
  app.add_option("--factory-chain", options.factory.chain,
                 "Factory certificate (PEM): with it the gateway gets --tls-chain and --tls-key itself");
  app.add_option("--factory-key", options.factory.key, "The key of that (PEM, mode 0600)");
  app.add_option("--upstream", options.upstream, "host:port of the next hop")->required();
  app.add_option("--upstream-id", options.upstream_id,
                 "Who the next hop must be: spiffe://<domain>/<role>/<id>, <id> may be *")
      ->required();
  app.add_option("--upstream-roots", options.upstream_roots, "Authorities of the next hop (PEM)")->required();
  AddDeniedServersOption(app, options.denied_servers);
  app.add_option("--state", options.state, "Folder for identity, keys and stored records (mode 0700)")
      ->required();
  app.add_option("--label-out", options.label_out, "Write the label, with the setup code, to this new file");
  app.add_flag("--reset", options.reset, "Forget the owner, all keys and all stored records first");
  app.add_option("--queue-bytes", options.queue_bytes, "Records kept while the next hop is away")
      ->transform(bytes)
      ->capture_default_str();
  app.add_option("--history-bytes", options.history_bytes, "Records kept of each topic for local readers")
      ->transform(bytes)
      ->capture_default_str();
  app.add_option("--deny-list", options.deny_list, "Certificates that count no longer; may change");
  app.add_flag("--observer", options.observer,
               "Administrators may look at what is stored of a record; for demonstrations");
  AddHandshakeOptions(app, options.handshakes);
  app.add_option("--stats-interval", options.stats_seconds, "Seconds between statistics in the log; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--flush", options.flush_seconds, "Seconds to go on forwarding after SIGTERM")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace keystead::gateway
