#include "core/observe/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>

#include "absl/time/clock.h"
#include "core/observe/security_event.h"

namespace keystead {
namespace {

constexpr Metric kEvents = {"keystead_security_events_total",
                            "What this process noticed that an honest network would not do, by kind.",
                            MetricType::kCounter,
                            {"kind"}};
constexpr Metric kStart = {"process_start_time_seconds", "When the process started, since 1970.",
                           MetricType::kGauge};
constexpr Metric kCpu = {"process_cpu_seconds_total", "Time that processors worked for it.",
                         MetricType::kCounter};
constexpr Metric kResident = {"process_resident_memory_bytes", "Memory that it has.", MetricType::kGauge};
constexpr Metric kFiles = {"process_open_fds", "Files and sockets that it has open.", MetricType::kGauge};
constexpr Metric kMaxFiles = {"process_max_fds", "Files and sockets that it may have open.",
                              MetricType::kGauge};

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

uint64_t ResidentBytes() {
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  std::ifstream("/proc/self/statm") >> total_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t OpenFiles() {
  const std::unique_ptr<DIR, decltype(&closedir)> folder(opendir("/proc/self/fd"), &closedir);
  if (folder == nullptr) return 0;
  uint64_t entries = 0;
  while (readdir(folder.get()) != nullptr) ++entries;
  constexpr uint64_t kOther = 3;  // ".", ".." and the folder itself
  return entries > kOther ? entries - kOther : 0;
}

void CollectEvents(MetricWriter& out) {
  const std::map<std::string, uint64_t> counts = SecurityEventCounts();
  // Also those that never happened: an alarm on the growth of a counter sees only one that was there before.
  for (int kind = 0; kind <= static_cast<int>(kLastSecurityEventKind); ++kind) {
    const std::string_view name = SecurityEventName(static_cast<SecurityEventKind>(kind));
    const auto found = counts.find(std::string(name));
    out.Value(kEvents, found == counts.end() ? uint64_t{0} : found->second, {name});
  }
}

void CollectProcess(MetricWriter& out) {
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) == 0) out.Value(kCpu, Seconds(used.ru_utime) + Seconds(used.ru_stime));
  out.Value(kResident, ResidentBytes());
  out.Value(kFiles, OpenFiles());
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) out.Value(kMaxFiles, uint64_t{files.rlim_cur});
}

}  // namespace

ProcessMetrics::ProcessMetrics()
    : source_([started = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch())](MetricWriter& out) {
        CollectEvents(out);
        CollectProcess(out);
        out.Value(kStart, started);
      }) {}

}  // namespace keystead
