// Not a test: what the device program costs on the machine it runs on. A hop and an owner in this process,
// the devices in another.
//   keystead-device-bench COUNT SECONDS [further options of keystead-device-sim…]

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "core/observe/log.h"
#include "tests/unit/device_sim/home.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {
namespace {

double MemoryMiB(pid_t pid) {
  std::istringstream status(ReadAll("/proc/" + std::to_string(pid) + "/status"));
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

nlohmann::json Stopped(const std::string& log) {
  std::istringstream lines(ReadAll(log));
  std::string line;
  while (std::getline(lines, line)) {
    nlohmann::json entry = nlohmann::json::parse(line, nullptr, false);
    if (entry.is_object() && entry.value("event", "") == "stopped") return entry;
  }
  return {};
}

void Bench(size_t count, int seconds, const std::vector<std::string>& more) {
  Home home;
  device_sim::Options options = home.OptionsForMany("bench-", count);
  options.interval_seconds = 1;
  const std::string log = home.folder() + "/log";
  std::vector<std::string> arguments = home.ArgumentsFor(options);
  arguments.insert(arguments.begin(), KEYSTEAD_DEVICE_PROGRAM);
  const std::string labels = home.folder() + "/labels";
  arguments.insert(arguments.end(), {"--ids", "bench-", "--count", std::to_string(count), "--labels-out",
                                     labels, "--join-at-once", "2000", "--log-file", log, "--quiet"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) std::abort();
  const std::string last = labels + "/bench-" + std::to_string(count - 1) + ".label";
  Eventually([&] { return std::filesystem::exists(last); });
  std::printf("%zu devices made: %.1f MiB\n", count, MemoryMiB(pid));
  std::vector<membership::Label> all;
  std::vector<const membership::Label*> pointers;
  for (size_t i = 0; i < count; ++i)
    all.push_back(Must(membership::ReadLabelFile(labels + "/bench-" + std::to_string(i) + ".label")));
  for (const membership::Label& label : all) pointers.push_back(&label);
  const std::vector<MemberId> members = home.PairAll(pointers);
  home.AwaitWord(members.back());
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  std::printf("running: %.1f MiB, %zu threads\n", MemoryMiB(pid),
              static_cast<size_t>(std::distance(
                  std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task"), {})));
  kill(pid, SIGTERM);
  int status = 0;
  rusage usage{};
  wait4(pid, &status, 0, &usage);
  const auto seconds_of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  const nlohmann::json stopped = Stopped(log);
  const double records = stopped.value("records", 0.0);
  const double cpu = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  std::printf("%.0f records in about %d s, %.2f s CPU (%.2f user), %.3f us CPU a record\n%s\n", records,
              seconds, cpu, seconds_of(usage.ru_utime), cpu * 1e6 / records, stopped.dump().c_str());
}

}  // namespace
}  // namespace keystead::testing

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s COUNT SECONDS [options of keystead-device-sim]\n", argv[0]);
    return 2;
  }
  keystead::LogOptions quiet;
  quiet.standard_error = false;
  if (!keystead::ConfigureLog(quiet).ok()) return 1;
  keystead::testing::Bench(std::stoul(argv[1]), std::stoi(argv[2]),
                           std::vector<std::string>(argv + 3, argv + argc));
  return 0;
}
