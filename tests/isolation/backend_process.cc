#include "tests/isolation/backend_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

extern char** environ;

namespace keystead::testing {
namespace {

constexpr int kStartTimeoutMs = 30'000;
constexpr int kPipeBytes = 1 << 20;  // of log that one call may cause; it is read after each

std::string Program() {
  const char* const folder = std::getenv("KEYSTEAD_BINARY_DIR");
  return std::string(folder == nullptr ? "." : folder) + "/bin/keystead-backend";
}

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "backend_process: %s\n", why.c_str());
  std::abort();
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// This process's own, but for the switch: what it runs itself is not broken.
std::vector<std::string> EnvironmentWith(const std::string& mutant) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!text.starts_with("KEYSTEAD_MUTANT=")) out.push_back(text);
  }
  if (!mutant.empty()) out.push_back("KEYSTEAD_MUTANT=" + mutant);
  return out;
}

}  // namespace

BackendProcess::BackendProcess(const std::vector<std::string>& options, const std::string& mutant) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) Die("no pipe");
  pipe_ = ends[0];
  fcntl(pipe_, F_SETPIPE_SZ, kPipeBytes);
  fcntl(pipe_, F_SETFL, O_NONBLOCK);
  // Everybody comes from one address here, which has nothing to do with walls between tenants.
  std::vector<std::string> arguments = {Program(), "--listen", "127.0.0.1:0", "--trusted-balancers",
                                        "127.0.0.1"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  std::vector<std::string> environment = EnvironmentWith(mutant);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  const int error = posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr, Pointers(arguments).data(),
                                Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) Die(arguments[0] + " cannot be started");
  std::string said;
  while (port_ == 0) {
    const std::vector<std::string> lines = TakeLines(kStartTimeoutMs);
    if (lines.empty()) Die("the backend did not start: " + said);
    for (const std::string& line : lines) {
      said += line + "\n";
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (json.is_object() && json.value("event", "") == "started") port_ = json.value("port", 0);
    }
  }
}

BackendProcess::~BackendProcess() {
  kill(pid_, SIGTERM);
  // It may have more to say than the pipe holds.
  while (!TakeLines(kStartTimeoutMs).empty()) {
  }
  waitpid(pid_, nullptr, 0);
  close(pipe_);
}

bool BackendProcess::Running() const { return waitpid(pid_, nullptr, WNOHANG) == 0; }

// Waits for the first line; none when there was none in time or the process has ended.
std::vector<std::string> BackendProcess::TakeLines(int timeout_ms) {
  std::vector<std::string> out;
  char buffer[16384];
  while (true) {
    const ssize_t got = read(pipe_, buffer, sizeof buffer);
    if (got > 0) {
      rest_.append(buffer, static_cast<size_t>(got));
      continue;
    }
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      out.push_back(rest_.substr(0, end));
      rest_.erase(0, end + 1);
    }
    if (got == 0 || !out.empty() || timeout_ms == 0) return out;
    pollfd wait{pipe_, POLLIN, 0};
    if (poll(&wait, 1, timeout_ms) <= 0) return out;
  }
}

std::vector<LoggedEvent> BackendProcess::TakeEvents() {
  std::vector<LoggedEvent> out;
  for (const std::string& line : TakeLines(0)) {
    log_ += line + "\n";
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    const std::string event = json.value("event", "");
    if (event == "security")
      out.push_back({json.value("kind", ""), json.value("peer", ""), json.value("tenant", "")});
    if (event == "security_suppressed") out.push_back({event, "", ""});
  }
  return out;
}

}  // namespace keystead::testing
