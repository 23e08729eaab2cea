// The subcommands, each as its options and a function that runs it and prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/program/program.h"
#include "mobile-stub/engine.h"
#include "mobile-stub/interrupter.h"

namespace keystead::mobile {

struct CommonOptions {
  EngineOptions engine;
  bool json = false;
};

struct PairOptions {
  std::vector<std::string> label_files;
  std::string recovery_out;
  double wait_seconds = 30;
  std::string guest;  // SPIFFE id of whom the one label is of; empty: of devices and gateways
  std::vector<std::string> may_read;
  std::string until;  // RFC 3339; empty: no end
};
struct JoinOptions {
  std::string label_out;
  double wait_seconds = 600;
};
struct WatchVerbOptions {
  double duration_seconds = 0;  // 0: until told to stop
  bool once = false;
  bool no_probe = false;
  double live_seconds = 30;  // for which an answered probe counts, as ReaderLimits::live_age
  bool stats = false;
  bool mean = false;                   // of what all measure, in place of what each does
  std::vector<std::string> plausible;  // with mean: as Plausible::Parse reads them
  int warm_up_seconds = 0;             // with stats
};
struct SendOptions {
  std::string target;
  std::string operation;
  std::optional<int64_t> argument;
  double ttl_seconds = 30;
  double timeout_seconds = 30;
  bool force = false;
};
struct RawOptions {
  std::string topic;
  size_t last = 5;
  double wait_seconds = 10;
};
struct ServeOptions {
  std::string listen = "127.0.0.1:0";
  bool reachable_by_others_without_tls = false;
  std::string public_address;           // HOST:PORT for the browser; empty: as it listens
  std::vector<std::string> host_names;  // further names by which a browser may call
  std::string url_out, token_file, recovery_out;
  std::vector<std::string> observed, infra;  // as console/remote.h reads them
  double idle_seconds = 0;                   // 0: never ends by itself
  bool no_events = false;                    // with --json: only the address is printed
};

// Each returns OK exactly when what was asked for is done. INVALID_ARGUMENT: the request itself is wrong.
// Where an `interrupter` is given, it says what an end from outside means.
absl::Status RunPair(const CommonOptions& common, const PairOptions& options, Program& program,
                     Interrupter& interrupter);
absl::Status RunJoin(const CommonOptions& common, const JoinOptions& options, Interrupter& interrupter);
absl::Status RunAddCourier(const CommonOptions& common, const std::string& spiffe_id,
                           Interrupter& interrupter);
absl::Status RunRemove(const CommonOptions& common, const std::string& member, double wait_seconds,
                       Program& program, Interrupter& interrupter);
absl::Status RunWithdraw(const CommonOptions& common, Interrupter& interrupter);
absl::Status RunMembers(const CommonOptions& common);
absl::Status RunWatch(const CommonOptions& common, const WatchVerbOptions& options, Program& program);
absl::Status RunSend(const CommonOptions& common, const SendOptions& options, Interrupter& interrupter);
absl::Status RunStatus(const CommonOptions& common, double wait_seconds);
absl::Status RunRaw(const CommonOptions& common, const RawOptions& options);
absl::Status RunServe(const CommonOptions& common, const ServeOptions& options, Program& program);
absl::Status RunVerifyBinding(const CommonOptions& common, const RawOptions& options);

}  // namespace keystead::mobile
