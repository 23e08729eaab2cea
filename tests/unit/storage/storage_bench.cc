// What the store reaches on this machine. Prints one line per case.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

#include "CLI/CLI.hpp"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "core/storage/log_store.h"

namespace keystead::storage {
namespace {

struct Case {
  const char* name;
  size_t value_bytes;
  size_t records_per_task;
  size_t in_flight;  // tasks
  double seconds;
  uint64_t logs = 64;
  uint64_t keep = 0;  // entries a log keeps: 0 keeps all
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Window {
 public:
  explicit Window(size_t limit) : limit_(limit) {}
  void Enter() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](Window* w) { return w->in_flight_ < w->limit_; }, this));
    ++in_flight_;
  }
  void Leave(absl::Duration latency) {
    absl::MutexLock lock(&mutex_);
    --in_flight_;
    latencies_.push_back(latency);
  }
  std::vector<absl::Duration> Drain() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](Window* w) { return w->in_flight_ == 0; }, this));
    return std::move(latencies_);
  }

 private:
  const size_t limit_;
  absl::Mutex mutex_;
  size_t in_flight_ = 0;
  std::vector<absl::Duration> latencies_;
};

class AppendTask final : public Task {
 public:
  AppendTask(Window& window, LogRef log, std::vector<Payload> values, uint64_t keep)
      : window_(window), log_(log), values_(std::move(values)), keep_(keep) {
    for (const Payload& value : values_) bytes_ += value->size();
  }
  absl::Status Prepare(Transaction& transaction) override {
    uint64_t last = 0;
    for (const Payload& value : values_) {
      const auto offset = transaction.Append(log_, value);
      if (!offset.ok()) return offset.status();
      last = *offset;
    }
    if (keep_ != 0 && last > keep_) return transaction.Trim(log_, last - keep_);
    return absl::OkStatus();
  }
  void Done(const absl::Status& status) override {
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
    window_.Leave(absl::Now() - start_);
  }
  size_t bytes() const override { return bytes_; }

 private:
  Window& window_;
  const LogRef log_;
  const std::vector<Payload> values_;
  const uint64_t keep_;
  size_t bytes_ = 0;
  const absl::Time start_ = absl::Now();
};

uint64_t DirectoryBytes(const std::string& path) {
  uint64_t total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) total += entry.file_size();
  return total;
}

void Run(const Case& c, Options options) {
  options.format_name = "bench";
  std::filesystem::remove_all(options.path);
  auto store = LogStore::Open(options);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    return;
  }
  Window window(c.in_flight);
  const double cpu = CpuSeconds();
  const absl::Time start = absl::Now();
  uint64_t tasks = 0;
  while (absl::Now() - start < absl::Seconds(c.seconds)) {
    window.Enter();
    std::vector<Payload> values;  // made anew, as they come from the network
    values.reserve(c.records_per_task);
    for (size_t i = 0; i < c.records_per_task; ++i) {
      values.push_back(std::make_shared<const std::string>(c.value_bytes, static_cast<char>('a' + i % 26)));
    }
    auto task = std::make_unique<AppendTask>(window, LogRef{1, tasks % c.logs}, std::move(values), c.keep);
    if (!(*store)->Submit(std::move(task)).ok()) window.Leave(absl::ZeroDuration());
    ++tasks;
  }
  std::vector<absl::Duration> latencies = window.Drain();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const double used = CpuSeconds() - cpu;
  std::sort(latencies.begin(), latencies.end());
  const Stats stats = (*store)->GetStats();
  const auto at = [&](double q) {
    return absl::ToDoubleMicroseconds(
        latencies[static_cast<size_t>(q * static_cast<double>(latencies.size() - 1))]);
  };
  const double records = static_cast<double>(stats.entries);
  std::printf(
      "%-28s %9.0f rec/s %7.1f MB/s  cpu %5.2f us/rec  %6.0f commits/s  task p50 %6.0f p99 %7.0f max %7.0f "
      "us  "
      "disk %4lu of %4lu MB\n",
      c.name, records / seconds, static_cast<double>(stats.bytes) / seconds / 1e6, used * 1e6 / records,
      static_cast<double>(stats.commits) / seconds, at(0.5), at(0.99), at(1),
      static_cast<unsigned long>(DirectoryBytes(options.path) >> 20),
      static_cast<unsigned long>(stats.bytes >> 20));
  std::fflush(stdout);
  store->reset();
  std::filesystem::remove_all(options.path);
}

}  // namespace
}  // namespace keystead::storage

int main(int argc, char** argv) {
  using keystead::storage::Case;
  keystead::storage::Options options;
  options.path = (std::filesystem::temp_directory_path() / "keystead-storage-bench").string();
  double seconds = 5;
  std::string only;
  CLI::App app{"Measures the store"};
  app.add_option("--path", options.path, "directory; it is removed before and after");
  app.add_option("--seconds", seconds, "per case");
  app.add_option("--only", only, "run the cases whose name contains this");
  app.add_option("--write-buffer", options.write_buffer_bytes, "bytes");
  app.add_option("--batch", options.batch_bytes, "bytes");
  CLI11_PARSE(app, argc, argv);
  const Case cases[] = {
      {"300 B x 512, 4 in flight", 300, 512, 4, seconds},
      {"300 B x 512, 16 in flight", 300, 512, 16, seconds},
      {"300 B x 64, 32 in flight", 300, 64, 32, seconds},
      {"16 KiB x 8, 8 in flight", 16384, 8, 8, seconds},
      {"16 KiB x 8, 32 in flight", 16384, 8, 32, seconds},
      {"300 B x 1, alone", 300, 1, 1, seconds},
      {"300 B x 1, 64 in flight", 300, 1, 64, seconds},
      {"journals: 20k logs, keep 64", 300, 32, 64, seconds, 20000, 64},
  };
  for (const Case& c : cases) {
    if (std::string(c.name).find(only) != std::string::npos) Run(c, options);
  }
  return 0;
}
