// What keystead-device-sim is told at its start.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/identity/certificate_files.h"
#include "device-sim/signals/signal.h"

namespace CLI {
class App;
}

namespace keystead::device_sim {

struct Options {
  std::string state;
  std::string id;
  std::string id_prefix;
  size_t count = 1;
  size_t first = 0;
  std::string kind = "temperature";
  uint64_t seed = 1;
  std::string replay_file;
  std::string replay_column;
  std::string replay_unit = "1";
  double replay_rate = 1;
  bool replay_loop = true;
  double interval_seconds = 1;
  double duration_seconds = 0;  // 0: until SIGTERM
  std::string safe_operation;   // empty: the output stays as it is
  double safe_after_seconds = 10;

  // A device without a home (alone.h): none of what leads to a hop is given.
  bool alone = false;
  bool buttons = false;
  bool display = false;

  std::string next_hop;
  std::string next_hop_id;
  std::string roots;
  std::string denied_servers;
  std::string certs;
  CertificateFiles tls;
  std::string factory_certs;
  CertificateFiles factory;  // of the one device; roots unused

  std::string label_out;
  std::string labels_out;
  bool show_label = false;
  bool arm = false;
  bool reset = false;
  double lease_days = 7;
  size_t join_at_once = 256;

  size_t journal_bytes = 16 << 20;  // alone: of the diary
  double stop_seconds = 5;

  size_t batch = 0;  // 0: the kind's own signal
  double readings_per_second = 0;
  size_t reading_bytes = 256;
  size_t burst = 1;
  size_t window_bytes = 1 << 20;
  size_t load_threads = 2;
  size_t linger_us = 0;

  std::vector<std::string> Ids() const;
};

void AddOptions(CLI::App& app, Options& options);
// INVALID_ARGUMENT: options that do not go together.
absl::Status CheckOptions(const Options& options);
// <certs>/<id>/{chain,key}.pem, or the one pair that was named.
CertificateFiles CertificatesOf(const Options& options, const std::string& id);
// Whether devices get their certificates by themselves, and with what:
// <factory-certs>/device.<id>/{chain,key}.pem, or the one pair that was named.
bool Enrolls(const Options& options);
CertificateFiles FactoryCertificatesOf(const Options& options, const std::string& id);
// For the device numbered `index` in this process; a CSV file is read once for all.
absl::StatusOr<SignalOptions> SignalOptionsOf(const Options& options);

}  // namespace keystead::device_sim
