// keystead-bench-parts: what the parts of the path cost by themselves, in CPU time per reading, so that the
// whole path can be compared with their sum on the same machine in the same run. Prints one JSON object.

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/identity/tls_process.h"
#include "core/sealing/record_cipher.h"
#include "core/storage/log_store.h"
#include "tests/bench/grpc_stream_part.h"

namespace keystead::bench {
namespace {

absl::Duration ProcessCpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

struct Cost {
  double wall_us = 0;  // per item
  double cpu_us = 0;
  double items_per_second = 0;
};

Cost CostOf(uint64_t items, absl::Duration wall, absl::Duration cpu) {
  const double n = static_cast<double>(items);
  return {absl::ToDoubleMicroseconds(wall) / n, absl::ToDoubleMicroseconds(cpu) / n,
          n / absl::ToDoubleSeconds(wall)};
}

absl::StatusOr<Cost> SealAndOpen(size_t bytes, absl::Duration duration, bool open) {
  StreamPlace place;
  KS_ASSIGN_OR_RETURN(place.tenant, TenantName::Parse("bench.keystead.example"));
  place.topic = Topic::Of(TopicKind::kTelemetry, MemberId());
  const SenderKey key(RandomSource::System().Secret(kSecretBytes));
  KS_ASSIGN_OR_RETURN(RecordCipher cipher, RecordCipher::Create(key, place));
  const Bytes plain(bytes, 7);
  Bytes record;
  KS_RETURN_IF_ERROR(cipher.Seal(0, plain, record));
  Bytes out;
  const absl::Time began = absl::Now();
  const absl::Duration cpu = ProcessCpu();
  uint64_t n = 0;
  while (absl::Now() - began < duration) {
    for (int i = 0; i < 64; ++i, ++n) {
      if (open) {
        KS_RETURN_IF_ERROR(cipher.Open(0, record, out));
      } else {
        out.clear();
        KS_RETURN_IF_ERROR(cipher.Seal(n, plain, out));
      }
    }
  }
  return CostOf(n, absl::Now() - began, ProcessCpu() - cpu);
}

// Tasks of `per_task` appends of `bytes`, `in_flight` of them at a time: one committer, one fsync for
// whatever has queued.
absl::StatusOr<Cost> SyncedAppends(const std::string& path, size_t bytes, int per_task, int in_flight,
                                   absl::Duration duration) {
  std::filesystem::remove_all(path);
  storage::Options options;
  options.path = path;
  options.format_name = "keystead-bench";
  KS_ASSIGN_OR_RETURN(const std::unique_ptr<storage::LogStore> store, storage::LogStore::Open(options));
  const auto payload = std::make_shared<const std::string>(bytes, 'x');
  absl::Mutex mutex;
  int under_way = 0;
  uint64_t appended = 0;
  const auto room = [&] { return under_way < in_flight; };
  const auto none = [&] { return under_way == 0; };
  const absl::Time began = absl::Now();
  const absl::Duration cpu = ProcessCpu();
  while (absl::Now() - began < duration) {
    {
      absl::MutexLock lock(&mutex);
      mutex.Await(absl::Condition(&room));
      ++under_way;
    }
    auto prepare = [&](storage::Transaction& t) {
      for (int i = 0; i < per_task; ++i) KS_RETURN_IF_ERROR(t.Append({1, 1}, payload).status());
      return absl::OkStatus();
    };
    auto done = [&](const absl::Status& status) {
      absl::MutexLock lock(&mutex);
      --under_way;
      if (status.ok()) appended += static_cast<uint64_t>(per_task);
    };
    KS_RETURN_IF_ERROR(
        store->Submit(storage::MakeTask(bytes * static_cast<size_t>(per_task), prepare, done)));
  }
  absl::MutexLock lock(&mutex);
  mutex.Await(absl::Condition(&none));
  return CostOf(appended, absl::Now() - began, ProcessCpu() - cpu);
}

nlohmann::json ToJson(const Cost& cost, double readings) {
  return {{"cpu_us_per_reading", cost.cpu_us / readings},
          {"wall_us_per_reading", cost.wall_us / readings},
          {"readings_per_second", cost.items_per_second * readings}};
}

absl::StatusOr<nlohmann::json> Measure(const std::string& pki, const std::string& tenant,
                                       const std::string& scratch, double seconds) {
  constexpr double kBatch = 64;
  constexpr size_t kReading = 256;
  constexpr size_t kRecord = kReading * 64;
  const absl::Duration duration = absl::Seconds(seconds);
  nlohmann::json out;
  KS_ASSIGN_OR_RETURN(const Cost seal, SealAndOpen(kRecord, duration, false));
  out["seal_16k"] = ToJson(seal, kBatch);
  KS_ASSIGN_OR_RETURN(const Cost open, SealAndOpen(kRecord, duration, true));
  out["open_16k"] = ToJson(open, kBatch);
  KS_ASSIGN_OR_RETURN(const Cost seal_one, SealAndOpen(kReading, duration, false));
  out["seal_256"] = ToJson(seal_one, 1);
  KS_ASSIGN_OR_RETURN(const Cost append, SyncedAppends(scratch + "/append", kRecord, 8, 32, duration));
  out["append_16k"] = ToJson(append, kBatch);
  KS_ASSIGN_OR_RETURN(const Cost append_small, SyncedAppends(scratch + "/append", 300, 512, 8, duration));
  out["append_300"] = ToJson(append_small, 1);
  std::filesystem::remove_all(scratch + "/append");
  StreamPartOptions stream{
      .pki = pki, .tenant = tenant, .message_bytes = kRecord * 8, .window = 8, .duration = duration};
  KS_ASSIGN_OR_RETURN(const StreamPartResult hop, RunStreamPart(stream));
  out["grpc_hop_128k"] = ToJson(CostOf(hop.messages, hop.wall, hop.cpu), kBatch * 8);
  // One at a time: what a lone reading waits for. Without a pause in between, so that nothing has gone to
  // sleep.
  KS_ASSIGN_OR_RETURN(const Cost append_one, SyncedAppends(scratch + "/append", 400, 1, 1, duration));
  out["append_alone"] = ToJson(append_one, 1);
  std::filesystem::remove_all(scratch + "/append");
  stream.message_bytes = 400;
  stream.window = 1;
  KS_ASSIGN_OR_RETURN(const StreamPartResult lone, RunStreamPart(stream));
  out["grpc_round_trip"] = ToJson(CostOf(lone.messages, lone.wall, lone.cpu), 1);
  return out;
}

}  // namespace
}  // namespace keystead::bench

int main(int argc, char** argv) {
  if (!keystead::PinTls13Process().ok()) return 1;
  CLI::App app("Measures the parts of the path", "keystead-bench-parts");
  std::string pki;
  std::string tenant = "acme.keystead.example";
  std::string scratch = "/tmp";
  double seconds = 3;
  app.add_option("--pki", pki, "Folder of certs/make-pki with a gateway and a device named bench")
      ->required();
  app.add_option("--tenant", tenant)->capture_default_str();
  app.add_option("--scratch", scratch, "Folder for the appended log")->capture_default_str();
  app.add_option("--seconds", seconds, "Per part")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const auto result = keystead::bench::Measure(pki, tenant, scratch, seconds);
  if (!result.ok()) {
    std::fprintf(stderr, "keystead-bench-parts: %s\n",
                 std::string(keystead::Std(result.status().message())).c_str());
    return 1;
  }
  std::printf("%s\n", result->dump(2).c_str());
  return 0;
}
