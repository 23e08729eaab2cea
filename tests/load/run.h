// One run from beginning to end: server, tenants, one episode for each behaviour, and what came out of it.
#pragma once

#include <array>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/program/termination.h"
#include "tests/load/behaviour.h"
#include "tests/load/plan.h"
#include "tests/load/self_host.h"

namespace keystead::load {

struct RunOptions {
  bool self = false;
  SelfHostOptions host;
  Plan plan;
  std::vector<Behaviour> behaviours;
  std::array<double, kPhases> seconds{2, 8, 8, 6};
  std::vector<int> sweep;  // numbers of tenants; empty: no sweep
  int sweep_connections = 1000;
  double sweep_seconds = 5;
};

// What a run says while it goes on. Called on the thread of Run.
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void Step(const std::string& what) = 0;  // a new thing has begun
  // Inside an episode: how much of it is over, and what the victims see now.
  struct Moment {
    Behaviour behaviour = Behaviour::kNone;
    size_t episode = 0;
    size_t episodes = 0;
    Phase phase = Phase::kWarmUp;
    double share = 0;
    double goodput_per_second = 0;
    double alone_per_second = 0;  // 0: not known yet
    std::optional<uint32_t> p99_us;
  };
  virtual void Now(const Moment& moment) = 0;
  virtual void Episode(const nlohmann::json& episode) = 0;  // one is over
};

// The report as docs and tests/load/README.md describe it. CANCELLED when the program shall end.
absl::StatusOr<nlohmann::json> Run(const RunOptions& options, Progress& progress,
                                   TerminationSignal& termination);

}  // namespace keystead::load
