#include "tests/load/server_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/load/machine.h"

namespace keystead::load {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(20);  // until SIGKILL
constexpr absl::Duration kPoll = absl::Milliseconds(5);

// Between fork and exec, in a process whose other threads are gone: nothing but system calls.
[[noreturn]] void Become(char* const* arguments, int log, int core, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  if (core >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) _exit(126);
  }
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(arguments[0], arguments);
  _exit(127);
}

std::string LastLine(const std::string& path) {
  std::ifstream in(path);
  std::string last;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

int PortIn(const std::string& ports_file) {
  std::ifstream in(ports_file);
  if (!in) return 0;
  const nlohmann::json ports = nlohmann::json::parse(in, nullptr, false);
  if (!ports.is_object() || !ports.contains("ports")) return 0;
  return ports["ports"].value("grpc", 0);
}

}  // namespace

absl::StatusOr<ServerProcess> ServerProcess::Start(const std::vector<std::string>& command,
                                                   const std::string& ports_file, const std::string& log_file,
                                                   int core, absl::Duration patience) {
  std::vector<char*> arguments;
  std::vector<std::string> words = command;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (access(words[0].c_str(), X_OK) != 0)
    return absl::NotFoundError(
        absl::StrCat(words[0], ": no such program; build it or name it with --backend"));
  const int log = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return absl::UnavailableError(absl::StrCat(log_file, ": ", std::strerror(errno)));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(arguments.data(), log, core, parent);
  close(log);
  if (pid < 0) return absl::UnavailableError(absl::StrCat("fork: ", std::strerror(errno)));
  ServerProcess out(pid);
  const absl::Time deadline = absl::Now() + patience;
  while ((out.port_ = PortIn(ports_file)) == 0) {
    if (!out.running()) {
      return absl::UnavailableError(
          absl::StrCat(words[0], " ended before it served (its log: ", log_file, "): ", LastLine(log_file)));
    }
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(absl::StrCat(words[0], " does not serve; its log: ", log_file));
    absl::SleepFor(kPoll);
  }
  return out;
}

ServerProcess::ServerProcess(ServerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), port_(other.port_) {}

ServerProcess::~ServerProcess() { Stop(); }

bool ServerProcess::running() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

void ServerProcess::Stop() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  const absl::Time deadline = absl::Now() + kGrace;
  while (running()) {
    if (absl::Now() > deadline) kill(pid_, SIGKILL);
    absl::SleepFor(kPoll);
  }
}

}  // namespace keystead::load
