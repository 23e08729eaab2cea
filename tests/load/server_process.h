// The backend as a process of our own, on a core of its own.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace keystead::load {

// Ended, at the latest, with this process, however that ends. Thread-compatible.
class ServerProcess {
 public:
  // Starts `command` (program and arguments) on `core`, appending its output to `log_file`, and waits until
  // it has written its ports to `ports_file`. Core below 0: wherever the system likes. UNAVAILABLE when it
  // ends before, with the last line it said; DEADLINE_EXCEEDED.
  static absl::StatusOr<ServerProcess> Start(const std::vector<std::string>& command,
                                             const std::string& ports_file, const std::string& log_file,
                                             int core, absl::Duration patience);
  ServerProcess(ServerProcess&& other) noexcept;
  ServerProcess& operator=(ServerProcess&&) = delete;
  ~ServerProcess();  // Stop(), or SIGKILL when that is not obeyed

  pid_t pid() const { return pid_; }
  int port() const { return port_; }
  bool running();
  void Stop();  // SIGTERM and wait. Idempotent

 private:
  explicit ServerProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  int port_ = 0;
};

}  // namespace keystead::load
