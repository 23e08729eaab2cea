#include "tests/load/machine.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"

namespace keystead::load {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kDiskBlock = 512;  // the unit of st_blocks (stat(2))

timespec ToTimespec(int64_t ns) { return {ns / kSecond, ns % kSecond}; }
int64_t FromTimespec(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

// What stands behind "name:" in a file of such lines.
std::string FieldOf(const std::string& path, std::string_view name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const size_t colon = line.find(':');
    const size_t at = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (at != std::string::npos) return line.substr(at);
  }
  return {};
}

}  // namespace

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return FromTimespec(now);
}

void SleepUntilNs(int64_t time_ns) {
  const timespec until = ToTimespec(time_ns);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

void WakePunctually() { prctl(PR_SET_TIMERSLACK, 1UL); }

std::vector<int> AllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> out;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return out;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) out.push_back(core);
  }
  return out;
}

absl::Status PinTo(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("cannot run on core ", core, ": ", std::strerror(errno)));
}

absl::Status RaiseFileLimit(uint64_t at_least) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return absl::InternalError("the limit of open files is unknown");
  limit.rlim_cur = limit.rlim_max;
  if (limit.rlim_max < at_least) {
    return absl::ResourceExhaustedError(absl::StrCat("needs ", at_least, " open files and may have ",
                                                     limit.rlim_max, ": raise the hard limit (ulimit -Hn)"));
  }
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the limit of open files: ", std::strerror(errno)));
}

std::optional<double> CpuSeconds(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) return std::nullopt;
  return static_cast<double>(FromTimespec(used)) * 1e-9;
}

std::optional<uint64_t> ResidentBytes(pid_t process) {
  std::ifstream in(absl::StrCat("/proc/", process, "/statm"));
  uint64_t size = 0;
  uint64_t resident = 0;
  if (!(in >> size >> resident)) return std::nullopt;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::optional<double> BusySeconds(int core) {
  std::ifstream in("/proc/stat");
  const std::string name = absl::StrCat("cpu", core, " ");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    std::istringstream fields(line.substr(name.size()));
    uint64_t user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, soft = 0, stolen = 0;
    if (!(fields >> user >> nice >> system >> idle >> waiting >> irq >> soft >> stolen)) return std::nullopt;
    return static_cast<double>(user + nice + system + irq + soft + stolen) /
           static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  return std::nullopt;
}

uint64_t BytesBelow(const std::string& folder) {
  uint64_t out = 0;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::end(at); at.increment(error)) {
    struct stat file {};  // what goes away while we look counts as nothing
    if (stat(at->path().c_str(), &file) == 0 && S_ISREG(file.st_mode))
      out += static_cast<uint64_t>(file.st_blocks) * kDiskBlock;
  }
  return out;
}

MachineDescription DescribeMachine() {
  MachineDescription out;
  out.cpu = FieldOf("/proc/cpuinfo", "model name");
  out.cores = static_cast<int>(std::thread::hardware_concurrency());
  out.memory_bytes =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  utsname names{};
  if (uname(&names) == 0) out.kernel = absl::StrCat(names.sysname, " ", names.release);
  return out;
}

}  // namespace keystead::load
