// keystead-backend: the shared cloud, which stores and forwards what it cannot read.
#include <CLI/CLI.hpp>

#include "backend/backend.h"
#include "core/base/mutants.h"
#include "core/observe/log.h"
#include "core/program/certificate_metrics.h"
#include "core/program/handshake_options.h"
#include "core/program/program.h"

namespace keystead::backend {
namespace {

void AddOptions(CLI::App& app, BackendOptions& options) {
  app.add_option(
         "--listen", options.listen,
         "Address, or several with commas between, and port to serve on; port 0 lets the system choose")
      ->capture_default_str();
  app.add_option("--data", options.store.path, "Folder of the store; made where it is missing")->required();
  app.add_option(
      "--keystore", options.keystore,
      "Folder of the tenants' keys, to be kept and backed up apart from the store; default: DATA.keys");
  CLI::Option* module =
      app.add_option("--pkcs11-module", options.pkcs11.module,
                     "Library of a PKCS #11 token that holds the keys instead of files there");
  app.add_option("--pkcs11-token", options.pkcs11.token, "Its label")->needs(module);
  app.add_option("--pkcs11-pin-file", options.pkcs11.pin_file, "File with its user PIN, mode 0600")
      ->needs(module);
  AddCertificateOptions(app, options.tls);
  app.add_option("--provider", options.provider, "Whose operators are let in, and their CA: NAME=CA.pem");
  app.add_option("--tenants", options.tenants_folder, "Folder with <tenant name>/ca.pem of each tenant");
  app.add_option("--tenant", options.tenants, "One tenant and its CA: NAME=CA.pem; repeatable")
      ->allow_extra_args(false);
  app.add_option(
      "--enrollment", options.enrollment.folder,
      "Folder with <tenant name>/enrollment/ of each tenant that lets this backend issue certificates");
  app.add_option_function<double>(
         "--certificate-hours",
         [&options](double hours) { options.enrollment.lifetime = hours * absl::Hours(1); },
         "How long those are good")
      ->check(CLI::Range(0.001, 8784.0));
  CLI::Option* audit_chain = app.add_option("--audit-chain", options.audit.chain,
                                            "Certificate for spiffe://PROVIDER/service/audit, with which "
                                            "audit logs are signed when they are exported");
  app.add_option("--audit-key", options.audit.key, "Its private key (PEM, mode 0600)")->needs(audit_chain);
  app.add_option("--audit-entries", options.audit.max_entries, "Entries kept in one tenant's audit log")
      ->check(CLI::Range(uint64_t{16}, uint64_t{1'000'000}))
      ->capture_default_str();
  app.add_option_function<double>(
         "--audit-days", [&options](double days) { options.audit.max_age = days * absl::Hours(24); },
         "Days that an entry is kept; 400 unless given")
      ->check(CLI::Range(1.0, 36500.0));
  app.add_option("--deny-list", options.deny_list, "Certificates that count no longer; may change");
  app.add_option("--max-instantiations", options.intake.instantiations_per_tenant,
                 "Instantiations that one tenant may have")
      ->capture_default_str();
  app.add_option("--new-instantiations-per-second", options.intake.new_instantiations.per_second,
                 "How fast one tenant may create them, beyond a burst")
      ->capture_default_str();
  app.add_option("--new-instantiations-burst", options.intake.new_instantiations.burst, "That burst")
      ->capture_default_str();
  app.add_option("--rendezvous-per-second", options.mailboxes.rate.per_second,
                 "Rendezvous calls of one peer, beyond a burst")
      ->capture_default_str();
  app.add_option("--rendezvous-burst", options.mailboxes.rate.burst, "That burst")->capture_default_str();
  TenantLimits& limits = options.default_limits;
  app.add_option("--tenant-records-per-second", limits.records_per_second,
                 "Records that a tenant may publish, for tenants without limits of their own; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tenant-bytes-per-second", limits.bytes_per_second, "Bytes of them, likewise")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tenant-streams", limits.streams,
                 "Calls of the data path that it may have open, likewise");
  app.add_option("--tenant-connections", limits.connections, "Peers with such calls, likewise");
  app.add_option("--tenant-subscriptions", limits.subscriptions, "Topics of open subscriptions, likewise");
  app.add_option("--tenant-stored-bytes", limits.stored_bytes, "Bytes that it may have stored, likewise");
  app.add_option("--fair-writer-bytes", options.queue.pace.most_bytes,
                 "Bytes of all tenants that the writer has at a time: the fair queue is before it")
      ->capture_default_str();
  app.add_option_function<double>(
         "--fair-commit-ms", [&options](double ms) { options.queue.pace.commit = absl::Milliseconds(ms); },
         "How long a commit may take, about, while more than one tenant brings something")
      ->check(CLI::Range(0.1, 1000.0))
      ->default_str("4");
  app.add_option("--metrics-tenants", options.tenants_with_metrics,
                 "Tenants with metrics of their own; those that come later are added up")
      ->check(CLI::Range(size_t{0}, size_t{10000}))
      ->capture_default_str();
  app.add_flag("--observer", options.observer,
               "Operators may look at what is stored of a record, encrypted and decrypted at rest; for "
               "demonstrations");
  AddHandshakeOptions(app, options.handshakes);
  app.add_option("--max-streams", options.max_streams, "Open calls of one connection")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--memory-quota", options.memory_quota_bytes,
                 "Bytes that gRPC may use for calls; 0 sets no bound")
      ->capture_default_str();
  app.add_option("--queue-bytes", options.store.queue_bytes, "Bytes that may wait for the writer")
      ->capture_default_str();
  app.add_option("--cache-bytes", options.store.tail_cache_bytes, "Bytes of the newest entries in memory")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads that verify commits and send to subscribers")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

absl::Status Serve(const BackendOptions& options, Program& program) {
  KS_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend, Backend::Start(options));
  const CertificateMetrics certificates({{"own", options.tls.chain}, {"audit", options.audit.chain}});
  KS_RETURN_IF_ERROR(program.AnnouncePorts({{"grpc", backend->port()}}));
  Log(LogLevel::kInfo, "started",
      {{"port", backend->port()}, {"tenants", backend->tenants()}, {"mutant", ActiveMutantName()}});
  program.termination().Wait();
  Log(LogLevel::kInfo, "stopping");
  backend->Stop();
  const Backend::Stats stats = backend->GetStats();
  Log(LogLevel::kInfo, "stopped",
      {{"requests", stats.transport.requests},
       {"groups_in", stats.transport.groups_in},
       {"groups_out", stats.transport.groups_out},
       {"refusals", stats.transport.refusals},
       {"commits", stats.store.commits}});
  return absl::OkStatus();
}

}  // namespace
}  // namespace keystead::backend

int main(int argc, char** argv) {
  keystead::Program program(
      "keystead-backend",
      "Multi-tenant backend: a durable log of sealed records and a registry of signed membership. It holds "
      "no key that opens a record.",
      "KEYSTEAD_BACKEND");
  program.OfferMetrics();
  keystead::backend::BackendOptions options;
  keystead::backend::AddOptions(program.app(), options);
  return program.Run(argc, argv, [&] { return keystead::backend::Serve(options, program); });
}
