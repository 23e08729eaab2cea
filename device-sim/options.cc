#include "device-sim/options.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "core/base/limits.h"
#include "core/membership/label.h"
#include "core/program/program.h"

namespace keystead::device_sim {
namespace {

constexpr size_t kMaxDevices = 20000;
constexpr size_t kMaxUnitBytes = 32;

void AddIdentityOptions(CLI::App& app, Options& o) {
  app.add_option("--state", o.state, "Folder for identities, keys and journals (mode 0700)")->required();
  CLI::Option* id = app.add_option("--id", o.id, "The device's id, last element of its SPIFFE id");
  CLI::Option* ids =
      app.add_option("--ids", o.id_prefix, "Several devices: ids are this and a running number");
  id->excludes(ids);
  app.add_option("--count", o.count, "How many, with --ids")
      ->check(CLI::Range(size_t{1}, kMaxDevices))
      ->needs(ids);
  app.add_option("--first", o.first, "First running number")->needs(ids);
  app.add_option("--certs", o.certs, "Folder with <id>/chain.pem and <id>/key.pem for each device");
  app.add_option("--tls-chain", o.tls.chain, "The one device's certificate chain (PEM)");
  app.add_option("--tls-key", o.tls.key, "The one device's private key (PEM, mode 0600)");
  app.add_option("--factory-certs", o.factory_certs,
                 "Folder with device.<id>/{chain,key}.pem: each device gets its certificate with these");
  app.add_option("--factory-chain", o.factory.chain, "The one device's factory certificate (PEM)");
  app.add_option("--factory-key", o.factory.key, "The key of that (PEM, mode 0600)");
  app.add_option("--next-hop", o.next_hop, "host:port of the gateway, balancer or backend");
  app.add_option("--next-hop-id", o.next_hop_id, "Whom to meet there: spiffe://<domain>/<role>/<id or *>");
  app.add_option("--roots", o.roots, "Authorities the next hop is verified against (PEM)");
  AddDeniedServersOption(app, o.denied_servers);
  app.parse_complete_callback([&o] {
    for (const auto& [name, value] : {std::pair<const char*, const std::string&>("--next-hop", o.next_hop),
                                      {"--next-hop-id", o.next_hop_id},
                                      {"--roots", o.roots}}) {
      if (!o.alone && value.empty()) throw CLI::RequiredError(name);
    }
  });
}

// What leads to a hop, or to an owner, and so does not go with it.
void AddAloneOptions(CLI::App& app, Options& o) {
  CLI::Option* alone =
      app.add_flag("--alone", o.alone, "Without a home: opens no socket, keeps what it measures for itself");
  for (const char* name :
       {"--next-hop", "--next-hop-id", "--roots", "--denied-servers", "--certs", "--tls-chain", "--tls-key",
        "--factory-certs", "--factory-chain", "--factory-key", "--ids", "--label-out", "--labels-out",
        "--show-label", "--arm", "--batch", "--safe-output", "--metrics-listen"}) {
    if (CLI::Option* other = app.get_option_no_throw(name); other != nullptr) alone->excludes(other);
  }
  app.add_flag("--buttons", o.buttons, "Alone: obey lines of standard input, such as on, off, brightness 40")
      ->needs(alone);
  app.add_flag("--display", o.display, "Alone: show on standard output what it measures, as JSON lines")
      ->needs(alone);
}

void AddSignalOptions(CLI::App& app, Options& o) {
  std::vector<std::string> kinds;
  for (const std::string_view kind : SignalKinds()) kinds.emplace_back(kind);
  app.add_option("--kind", o.kind, "What it is")->check(CLI::IsMember(kinds))->capture_default_str();
  app.add_option("--interval", o.interval_seconds, "Seconds between readings")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  app.add_option("--seed", o.seed, "Of the simulated signal; devices count on from it")
      ->capture_default_str();
  app.add_option("--replay", o.replay_file, "CSV file, for kind replay (implied)");
  app.add_option("--column", o.replay_column, "Its column");
  app.add_option("--rate", o.replay_rate, "Rows per second")
      ->check(CLI::Range(0.001, kMaxReplayRate))
      ->capture_default_str();
  app.add_option("--unit", o.replay_unit, "Unit of the column (UCUM), for example Cel; the file does not say")
      ->capture_default_str();
  app.add_flag("--loop,!--no-loop", o.replay_loop,
               "Begin the file again after its last row (the default), or stop there");
  app.add_option("--duration", o.duration_seconds, "End after so many seconds; 0: at SIGTERM")
      ->check(CLI::NonNegativeNumber);
  CLI::Option* safe =
      app.add_option("--safe-output", o.safe_operation,
                     "What its output does when no hop acknowledges anything any more: off, …");
  app.add_option("--safe-after", o.safe_after_seconds, "Seconds until it does")
      ->check(CLI::Range(1.0, 86400.0))
      ->needs(safe)
      ->capture_default_str();
  app.add_option("--stop-seconds", o.stop_seconds, "How long to wait at the end until the hop has everything")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
}

void AddJoinOptions(CLI::App& app, Options& o) {
  app.add_option("--label-out", o.label_out, "Write the label into this new file, mode 0600");
  app.add_option("--labels-out", o.labels_out, "Write <id>.label for each device into this folder");
  app.add_flag("--show-label", o.show_label, "Show the label on the terminal, as text and QR code");
  app.add_flag("--arm", o.arm,
               "Press the button: pairing is possible for ten minutes (first power-up does it too)");
  app.add_flag("--reset", o.reset, "Factory reset first: forget the owner, then arm");
  app.add_option("--lease-days", o.lease_days,
                 "Days of uptime without a word of the owner after which nobody else is obeyed")
      ->check(CLI::Range(1e-6, 3650.0))
      ->capture_default_str();
  app.add_option("--join-at-once", o.join_at_once, "Devices that wait for their owner at the same time")
      ->check(CLI::Range(size_t{1}, size_t{4096}))
      ->capture_default_str();
}

void AddLoadOptions(CLI::App& app, Options& o) {
  app.add_option("--journal-bytes", o.journal_bytes,
                 "Kept per topic until acknowledged; beyond it the oldest that no hop was handed are lost")
      ->check(CLI::Range(size_t{1024}, size_t{1} << 34))
      ->capture_default_str();
  app.add_option("--batch", o.batch, "Load: readings per record, instead of the kind's signal; 0: off")
      ->check(CLI::Range(size_t{0}, limits::kMaxReadingsPerBatch));
  app.add_option("--readings-per-second", o.readings_per_second,
                 "Load: over all devices; 0: as fast as acknowledged")
      ->check(CLI::Range(0.0, 1e9));
  app.add_option("--reading-bytes", o.reading_bytes, "Load: size of one reading's payload")
      ->check(CLI::Range(size_t{1}, size_t{65536}))
      ->capture_default_str();
  app.add_option("--burst", o.burst, "Load: records sealed one by one before they are flushed together")
      ->check(CLI::Range(size_t{1}, size_t{1024}))
      ->capture_default_str();
  app.add_option("--window-bytes", o.window_bytes, "Load without a rate: unacknowledged bytes per device")
      ->check(CLI::Range(size_t{1}, size_t{1} << 34))
      ->capture_default_str();
  app.add_option("--load-threads", o.load_threads, "Load: threads that seal")
      ->check(CLI::Range(size_t{1}, size_t{64}))
      ->capture_default_str();
  app.add_option("--linger-us", o.linger_us,
                 "Microseconds a request may wait for more while others are under way")
      ->check(CLI::Range(size_t{0}, size_t{1000000}));
}

absl::Status CheckReplay(const Options& o) {
  const auto wrong = [](std::string_view what) { return absl::InvalidArgumentError(Absl(what)); };
  if (o.replay_file.empty() != o.replay_column.empty()) return wrong("--replay and --column go together");
  if (o.replay_unit.empty() || o.replay_unit.size() > kMaxUnitBytes) return wrong("--unit has 1 to 32 bytes");
  if (o.kind == "replay" && o.replay_file.empty())
    return wrong("kind replay needs --replay FILE and --column NAME");
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> Options::Ids() const {
  if (id_prefix.empty()) return {id};
  std::vector<std::string> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(absl::StrCat(id_prefix, first + i));
  return out;
}

void AddOptions(CLI::App& app, Options& options) {
  AddIdentityOptions(app, options);
  AddSignalOptions(app, options);
  AddJoinOptions(app, options);
  AddLoadOptions(app, options);
  AddAloneOptions(app, options);  // last: it names the others
}

absl::Status CheckOptions(const Options& o) {
  const auto wrong = [](std::string_view what) { return absl::InvalidArgumentError(Absl(what)); };
  if (o.id.empty() == o.id_prefix.empty()) return wrong("either --id or --ids is needed");
  for (const std::string& id : o.Ids()) KS_RETURN_IF_ERROR(membership::CheckDeviceId(id));
  KS_RETURN_IF_ERROR(CheckReplay(o));
  if (o.alone) return absl::OkStatus();
  const bool pair = !o.tls.chain.empty() || !o.tls.key.empty();
  if (pair == !o.certs.empty()) return wrong("either --certs or --tls-chain with --tls-key is needed");
  if (pair && (o.tls.chain.empty() || o.tls.key.empty()))
    return wrong("--tls-chain and --tls-key go together");
  const bool many = !o.id_prefix.empty();
  const bool factory_pair = !o.factory.chain.empty() || !o.factory.key.empty();
  if (factory_pair && (o.factory.chain.empty() || o.factory.key.empty()))
    return wrong("--factory-chain and --factory-key go together");
  if (factory_pair && (many || !o.factory_certs.empty()))
    return wrong("--factory-chain is for one device; several need --factory-certs");
  if (many && pair) return wrong("several devices need --certs: each has a certificate of its own");
  if (many && !o.label_out.empty()) return wrong("several devices write their labels with --labels-out");
  if (many && o.show_label) return wrong("--show-label shows one label: use it with --id");
  if (o.batch > 0 && o.batch * (o.reading_bytes + 32) + 1024 > limits::kMaxRecordBytes) {
    return wrong("--batch times --reading-bytes is more than one record holds (262144 bytes)");
  }
  return absl::OkStatus();
}

CertificateFiles CertificatesOf(const Options& o, const std::string& id) {
  if (o.certs.empty()) return {o.tls.chain, o.tls.key, o.roots, o.denied_servers};
  const std::string folder = absl::StrCat(o.certs, "/", id);
  return {folder + "/chain.pem", folder + "/key.pem", o.roots, o.denied_servers};
}

bool Enrolls(const Options& o) { return !o.factory_certs.empty() || !o.factory.chain.empty(); }

CertificateFiles FactoryCertificatesOf(const Options& o, const std::string& id) {
  if (o.factory_certs.empty()) return o.factory;
  const std::string folder = absl::StrCat(o.factory_certs, "/device.", id);
  return {folder + "/chain.pem", folder + "/key.pem", ""};
}

absl::StatusOr<SignalOptions> SignalOptionsOf(const Options& o) {
  SignalOptions out;
  if (o.replay_file.empty()) return out;
  KS_ASSIGN_OR_RETURN(CsvColumn column, ReadCsvColumn(o.replay_file, o.replay_column));
  out.column = std::make_shared<const CsvColumn>(std::move(column));
  out.replay_column = o.replay_column;
  out.replay_unit = o.replay_unit;
  out.rows_per_second = o.replay_rate;
  out.loop = o.replay_loop;
  return out;
}

}  // namespace keystead::device_sim
