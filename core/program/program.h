// The frame of every program. In main():
//
//   int main(int argc, char** argv) {
//     keystead::Program program("keystead-gateway", "Stores and forwards …", "KEYSTEAD_GATEWAY");
//     GatewayOptions options;
//     AddOptions(program.app(), options);            // CLI11: command line, --config FILE, environment
//     return program.Run(argc, argv, [&] { return RunGateway(options, program); });
//   }
//
// Exit codes: 0 done, 1 the program failed, 2 the options are wrong. An error is one line on standard error:
// what is wrong and what to do.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/identity/certificate_files.h"
#include "core/observe/log.h"
#include "core/observe/metrics_server.h"
#include "core/program/termination.h"

namespace CLI {
class App;  // <CLI/CLI.hpp> costs every file that includes it seconds
}

namespace keystead {

// One per process, made first thing in main(): it pins TLS 1.3, forbids core dumps, and blocks the
// termination signals before there is a second thread.
class Program {
 public:
  // Adds --config, --log-level, --log-file, --quiet and --ports-file. Every option added to app() or, through
  // Env(), to a subcommand can also be set by the environment variable <prefix>_<OPTION_NAME>.
  Program(std::string name, std::string description, std::string environment_prefix);

  ~Program();

  // For programs that go on: adds --metrics-listen and what belongs to it. Whatever serves metrics is asked
  // while `body` runs (core/observe/metrics.h); the port is announced as "metrics".
  void OfferMetrics();

  CLI::App& app() { return *app_; }
  TerminationSignal& termination() { return termination_; }
  const std::string& name() const { return name_; }

  // Parses, configures logs, runs `body`, and turns its status into one line and an exit code, with which it
  // ends the process (under AddressSanitizer it returns the code instead). Whatever must be destroyed in
  // order belongs into `body`.
  int Run(int argc, char** argv, const std::function<absl::Status()>& body);

  // For interactive programs: a body that answers INVALID_ARGUMENT ends with exit code 2, as a mistyped
  // option does.
  void InvalidArgumentIsMistyped() { invalid_argument_code_ = 2; }

  // Another exit code than 0 for a body that answers OK: it did its work, and what came out is bad news.
  void SucceedWith(int code) { success_code_ = code; }

  // Writes {"pid": …, "ports": {name: port, …}} to --ports-file, if one was given, whole or not at all. Call
  // it when all ports are bound: whoever waits for the file may then connect.
  absl::Status AnnouncePorts(const std::map<std::string, int>& ports) const;

 private:
  int RunBody(int argc, char** argv, const std::function<absl::Status()>& body);
  absl::Status RunWithMetrics(const std::function<absl::Status()>& body);
  void BindEnvironment(CLI::App& app) const;

  std::string name_;
  std::string prefix_;
  absl::Status tls_;
  TerminationSignal termination_;
  std::unique_ptr<CLI::App> app_;
  LogOptions log_;
  std::string level_ = "info";
  bool quiet_ = false;
  int invalid_argument_code_ = 1;
  int success_code_ = 0;
  std::string ports_file_;
  MetricsServerOptions metrics_options_;
  std::unique_ptr<MetricsServer> metrics_;  // while the body runs
};

// --denied-servers: CertificateFiles::denied_servers, for programs that connect to a next hop.
void AddDeniedServersOption(CLI::App& app, std::string& path);
// --tls-chain, --tls-key, --tls-roots, all required. `prefix` goes between the dashes: "upstream-" gives
// --upstream-tls-chain.
void AddCertificateOptions(CLI::App& app, CertificateFiles& files, std::string_view prefix = "",
                           bool required = true);

}  // namespace keystead
