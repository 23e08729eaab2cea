// The server under test, started by ourselves, with a PKI and a data folder that go away with it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/load/plan.h"
#include "tests/load/server_process.h"

namespace keystead::load {

struct SelfHostOptions {
  std::string backend;                    // the program
  std::vector<std::string> more_options;  // for it
  std::string folder;  // where a folder of our own is made; empty: the system's temporary one
  int core = -1;       // of the server
};

// Thread-compatible.
class SelfHost {
 public:
  // Makes certificates for the plan's tenants and devices, starts the server, and sets address, target_id,
  // roots and credentials of the plan.
  static absl::StatusOr<std::unique_ptr<SelfHost>> Start(const SelfHostOptions& options, Plan& plan);
  ~SelfHost();  // stops it and removes the folder

  pid_t pid() const { return server_->pid(); }
  bool running() { return server_->running(); }
  std::string data_folder() const { return folder_ + "/data"; }

 private:
  SelfHost() = default;
  std::string folder_;
  std::unique_ptr<ServerProcess> server_;
};

}  // namespace keystead::load
