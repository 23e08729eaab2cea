// A real keystead-backend as a process of its own, and its log as it comes.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace keystead::testing {

struct LoggedEvent {
  std::string kind;  // "not_permitted"; "security_suppressed" for lines that were left out
  std::string peer;
  std::string tenant;
};

class BackendProcess {
 public:
  // Returns when it serves. Ends the test program, with what the process said, when it does not start.
  // `options` beside --listen; `mutant` may be empty.
  BackendProcess(const std::vector<std::string>& options, const std::string& mutant);
  ~BackendProcess();  // SIGTERM, and waits for the end
  BackendProcess(const BackendProcess&) = delete;

  int port() const { return port_; }
  // Security events since the last call. A line is written before the answer goes to the peer, so after an
  // answer its events are here.
  std::vector<LoggedEvent> TakeEvents();
  // All lines that have been taken since the start.
  const std::string& Log() const { return log_; }
  bool Running() const;

 private:
  std::vector<std::string> TakeLines(int timeout_ms);

  pid_t pid_ = -1;
  int pipe_ = -1;
  int port_ = 0;
  std::string log_;
  std::string rest_;  // of a line that has not ended yet
};

}  // namespace keystead::testing
