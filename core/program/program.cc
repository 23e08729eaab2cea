#include "core/program/program.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/base/bytes.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/identity/tls_process.h"
#include "core/observe/process_metrics.h"
#include "core/program/files.h"

// Read by jemalloc before main(); MALLOC_CONF in the environment wins. What is freed soon comes back in huge
// pages that were never given away: first touches of small pages were a quarter of a busy hop's time on a
// virtual machine (docs/benchmark.md). After a minute without use memory does go back.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "thp:always,percpu_arena:percpu,dirty_decay_ms:60000,muzzy_decay_ms:0";
}

namespace keystead {
namespace {

// What is in memory are keys, and a core dump would put them on a disk. The limit of one byte is below what
// the kernel writes to a file, and of all limits the only one that also keeps it from feeding a program that
// collects dumps (core(5)). ptrace still works: who may attach reads the memory anyway.
void ForbidCoreDumps() {
  rlimit limit{};
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max = std::min<rlim_t>(limit.rlim_max, 1);
  setrlimit(RLIMIT_CORE, &limit);
}

// The mutant extra_listener: a door that nobody declared, open until the process ends.
void OpenUndeclaredDoor() {
  sockaddr_in anywhere{};
  anywhere.sin_family = AF_INET;
  const int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (door < 0 || bind(door, reinterpret_cast<const sockaddr*>(&anywhere), sizeof anywhere) != 0 ||
      listen(door, 1) != 0) {
    std::perror("keystead: extra_listener");
    std::abort();
  }
}

}  // namespace

Program::Program(std::string name, std::string description, std::string environment_prefix)
    : name_(std::move(name)),
      prefix_(std::move(environment_prefix)),
      tls_(PinTls13Process()),
      app_(std::make_unique<CLI::App>(std::move(description), name_)) {
  // gRPC's own log lines have no structure, and what they say we say in one line of ours. The variable, if it
  // is set, still wins.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  // Debian's Abseil records the order of every lock; a few percent of a busy hop's time.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  ActiveMutantName();  // prints its red line, or refuses an unknown name, before anything else
  ForbidCoreDumps();
  if (MutantActive(Mutant::kExtraListener)) OpenUndeclaredDoor();
  app_->set_config("--config", "", "Read options from this file (TOML or INI); the command line wins");
  app_->allow_config_extras(CLI::config_extras_mode::error);  // subcommands take it over
  app_->footer(absl::StrCat(
      "Every option can also be given in the file of --config, as `name = value`, or in the environment as ",
      prefix_, "_<NAME> with _ for -. The command line wins, then the environment."));
  app_->add_option("--log-level", level_, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  app_->add_option("--log-file", log_.file, "Append the log to this file as well");
  app_->add_flag("--quiet", quiet_, "No log on standard error");
  app_->add_option("--ports-file", ports_file_,
                   "Write process id and bound ports to this file, as JSON, once ready");
}

Program::~Program() = default;

void Program::OfferMetrics() {
  app_->add_option("--metrics-listen", metrics_options_.listen,
                   "Serve Prometheus metrics at http://ADDRESS:PORT/metrics, on loopback; off unless given; "
                   "port 0 lets the system choose");
  app_->add_flag("--metrics-for-everyone-on-the-network", metrics_options_.open_to_network,
                 "Let --metrics-listen be another address: whoever reaches it reads all metrics, of all "
                 "tenants, and nobody is asked who they are");
}

void Program::BindEnvironment(CLI::App& app) const {
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_single_name();
    if (name.empty() || name == "help" || name == "help-all" || !option->get_envname().empty()) continue;
    std::string variable = prefix_ + "_";
    for (char c : name)
      variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    option->envname(variable);
  }
  for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) BindEnvironment(*sub);
}

int Program::Run(int argc, char** argv, const std::function<absl::Status()>& body) {
  const int code = RunBody(argc, argv, body);
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER)
  // What the body owned is gone. gRPC's own threads are not, and they race with the destructors of static
  // objects (a short-lived client was once seen to free something twice on its way out). Leak checkers need
  // the ordinary way.
  std::fflush(nullptr);
  _exit(code);
#endif
  return code;
}

int Program::RunBody(int argc, char** argv, const std::function<absl::Status()>& body) {
  const auto fail = [&](const absl::Status& status) {
    std::fprintf(stderr, "%s: %s\n", name_.c_str(), std::string(Std(status.message())).c_str());
    return 1;
  };
  if (!tls_.ok()) return fail(tls_);
  BindEnvironment(*app_);
  try {
    app_->parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app_->exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app_->exit(help);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "%s: %s (see %s --help)\n", name_.c_str(), error.what(), name_.c_str());
    return 2;
  }
  log_.program = name_;
  log_.standard_error = !quiet_;
  log_.level = level_ == "debug"     ? LogLevel::kDebug
               : level_ == "info"    ? LogLevel::kInfo
               : level_ == "warning" ? LogLevel::kWarning
                                     : LogLevel::kError;
  if (const absl::Status log = ConfigureLog(log_); !log.ok()) return fail(log);
  const absl::Status status = RunWithMetrics(body);
  if (!status.ok()) {
    // On standard error it is one line, for people.
    log_.standard_error = false;
    if (!log_.file.empty() && ConfigureLog(log_).ok())
      Log(LogLevel::kError, "failed", {{"reason", Std(status.message())}});
    fail(status);
    return absl::IsInvalidArgument(status) ? invalid_argument_code_ : 1;
  }
  return success_code_;
}

absl::Status Program::RunWithMetrics(const std::function<absl::Status()>& body) {
  if (metrics_options_.listen.empty()) return body();
  KS_ASSIGN_OR_RETURN(metrics_, MetricsServer::Start(metrics_options_));
  const ProcessMetrics process;
  Log(LogLevel::kInfo, "metrics_served",
      {{"port", metrics_->port()}, {"open_to_network", metrics_options_.open_to_network}});
  const absl::Status status = body();
  metrics_.reset();
  return status;
}

absl::Status Program::AnnouncePorts(const std::map<std::string, int>& ports) const {
  if (ports_file_.empty()) return absl::OkStatus();
  nlohmann::json out;
  out["pid"] = getpid();
  out["ports"] = ports;
  if (metrics_ != nullptr) out["ports"]["metrics"] = metrics_->port();
  return WriteFileAtomically(ports_file_, out.dump() + "\n");
}

void AddDeniedServersOption(CLI::App& app, std::string& path) {
  app.add_option("--denied-servers", path, "Servers whose certificates count no longer; may change");
}

void AddCertificateOptions(CLI::App& app, CertificateFiles& files, std::string_view prefix, bool required) {
  const std::string dashes = absl::StrCat("--", Absl(prefix));
  app.add_option(dashes + "tls-chain", files.chain, "Own certificate and what leads to its root (PEM)")
      ->required(required);
  app.add_option(dashes + "tls-key", files.key, "Own private key (PEM, mode 0600)")->required(required);
  app.add_option(dashes + "tls-roots", files.roots, "Authorities that peers are verified against (PEM)")
      ->required(required);
}

}  // namespace keystead
