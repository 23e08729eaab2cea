// The tenants that misbehave, in a process of their own that gives way to the one that measures: their work
// must not make the victims' records late in the generator.
#pragma once

#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "tests/load/behaviour.h"
#include "tests/load/plan.h"

namespace keystead::load {

// Thread-compatible.
class NeighbourProcess {
 public:
  // Forks. Call it before there is a second thread and before gRPC is used. The child does what it is told
  // until this object, or its process, is gone.
  static absl::StatusOr<NeighbourProcess> Fork();
  NeighbourProcess(NeighbourProcess&& other) noexcept;
  NeighbourProcess& operator=(NeighbourProcess&&) = delete;
  ~NeighbourProcess();

  pid_t pid() const { return pid_; }
  // Founds and connects the plan's last tenants.
  absl::Status Connect(const Plan& plan);
  // Starts Behave() there; AwaitOutcome has what it returned, as JSON.
  absl::Status Begin(Behaviour behaviour, const Timeline& timeline);
  absl::StatusOr<nlohmann::json> AwaitOutcome();

 private:
  NeighbourProcess(pid_t pid, int socket) : pid_(pid), socket_(socket) {}
  absl::Status Tell(const nlohmann::json& what) const;
  pid_t pid_;
  int socket_;
};

}  // namespace keystead::load
