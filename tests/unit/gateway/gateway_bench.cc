// Not a test: how much a gateway costs on the machine it runs on. The gateway is a process of its own;
// devices, next hop and app are in this one.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/synchronization/notification.h"
#include "core/identity/tls_process.h"
#include "core/observe/log.h"
#include "core/transport/channel_options.h"
#include "core/transport/publisher.h"
#include "core/transport/subscriber.h"
#include "core/transport/tls_credentials.h"
#include "tests/unit/gateway/household.h"
#include "tests/unit/gateway/test_upstream.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/transport/test_groups.h"
#include "tests/unit/transport/test_server.h"

namespace keystead::testing {
namespace {

struct Settings {
  std::string program;
  int devices = 4;
  size_t record_bytes = 16 << 10;
  int readings_per_record = 64;
  double seconds = 5;
  size_t window_bytes = 1 << 20;  // each device
  bool one_at_a_time = false;
  bool wait_for_profile = false;
};

double CpuSeconds(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

template <class T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "gateway_bench: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

class Bench {
 public:
  explicit Bench(const Settings& settings) : settings_(settings), folder_(TestPki::Shared().NewFolder()) {}

  int Run() {
    StartGateway();
    for (int i = 0; i < settings_.devices; ++i) {
      const std::string name = "d" + std::to_string(i);
      members_.push_back(home_.AddDevice("spiffe://acme.keystead.example/device/" + name));
      leaves_.push_back(TestPki::Shared().Leaf(kAcme, Role::kDevice, name));
      leaves_.back().roots = TestPki::Shared().tenant_folder(kAcme) + "/ca.pem";
    }
    home_.PairByLabel(folder_ + "/label", upstream_.Mailboxes());
    upstream_.Place({home_.Commit()});
    Connect();
    settings_.one_at_a_time ? Latency() : Throughput();
    kill(pid_, SIGTERM);
    int status = 0;
    waitpid(pid_, &status, 0);
    return WEXITSTATUS(status);
  }

 private:
  void StartGateway() {
    const CertificateFiles files = TestPki::Shared().Leaf(kAcme, Role::kGateway, "hall", "--server");
    const std::vector<std::string> arguments = {settings_.program,
                                                "--listen",
                                                "127.0.0.1:0",
                                                "--tls-chain",
                                                files.chain,
                                                "--tls-key",
                                                files.key,
                                                "--tls-roots",
                                                TestPki::Shared().tenant_folder(kAcme) + "/ca.pem",
                                                "--upstream",
                                                upstream_.address(),
                                                "--upstream-id",
                                                kBackendId,
                                                "--upstream-roots",
                                                TestPki::Shared().provider_roots(),
                                                "--state",
                                                folder_ + "/state",
                                                "--label-out",
                                                folder_ + "/label",
                                                "--ports-file",
                                                folder_ + "/ports",
                                                "--log-file",
                                                folder_ + "/log",
                                                "--quiet",
                                                "--stats-interval",
                                                "1"};
    pid_ = fork();
    if (pid_ == 0) {
      std::vector<char*> argv;
      for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    while (!std::filesystem::exists(folder_ + "/ports"))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::ifstream ports(folder_ + "/ports");
    port_ = nlohmann::json::parse(ports)["ports"]["lan"];
  }

  void Connect() {
    {
      absl::MutexLock lock(&mutex_);
      durable_.resize(static_cast<size_t>(settings_.devices));
    }
    for (int i = 0; i < settings_.devices; ++i) {
      PublisherCallbacks on;
      on.on_durable = [this, i](uint64_t up_to) {
        absl::MutexLock lock(&mutex_);
        durable_[static_cast<size_t>(i)] = up_to;
      };
      on.on_refused = [](uint64_t, const GroupRefusal& refusal) {
        std::fprintf(stderr, "refused: %s\n", refusal.status.ToString().c_str());
        std::abort();
      };
      PublisherOptions options;
      options.max_buffer_bytes = settings_.window_bytes;
      options.max_request_bytes = 64 << 10;
      options.backoff = {.initial = absl::Milliseconds(20), .max = absl::Milliseconds(50)};
      publishers_.push_back(std::make_unique<Publisher>(
          DialChannel("127.0.0.1:" + std::to_string(port_),
                      Must(MakeChannelCredentials(
                          {.files = leaves_[static_cast<size_t>(i)], .refresh_seconds = 0},
                          Must(PeerExpectation::Parse("spiffe://acme.keystead.example/gateway/hall")))),
                      {.own_connection = true}),
          on, options));
      publishers_.back()->Start();
      GroupHeader header;
      header.tenant = home_.tenant();
      header.instantiation = home_.id();
      header.topic = Topic::Of(TopicKind::kTelemetry, members_[static_cast<size_t>(i)]);
      header.sender = members_[static_cast<size_t>(i)];
      header.stream = NumberedId<StreamId>(i + 1);
      headers_.push_back(header);
    }
    SubscriberOptions options;
    options.tenant = home_.tenant();
    options.instantiation = home_.id();
    SubscriberCallbacks on;
    on.on_entries = [this](const TopicBatch& batch) {
      absl::MutexLock lock(&mutex_);
      delivered_ += batch.groups.size();
    };
    app_ = std::make_unique<Subscriber>(
        DialChannel(upstream_.address(),
                    Must(MakeChannelCredentials({.files = TestPki::Shared().Leaf(kAcme, Role::kApp, "phone")},
                                                Must(PeerExpectation::Parse(kBackendId)))),
                    {.own_connection = true}),
        on, options);
    std::vector<SubscriberTopic> topics;
    for (const GroupHeader& header : headers_) topics.push_back({.topic = header.topic});
    Must(absl::StatusOr<bool>(app_->Add(topics).ok()));
    app_->Start();
    for (size_t i = 0; i < publishers_.size(); ++i) SendOne(i);
    AwaitDelivered(sent_);
  }

  bool SendOne(size_t device) {
    const Payload group = TestGroup(headers_[device], {{next_.emplace(device, 0).first->second, content_}});
    if (!publishers_[device]->Enqueue(group).ok()) return false;
    ++next_[device];
    ++sent_;
    return true;
  }
  void AwaitDelivered(uint64_t count) {
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return delivered_ >= count; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&there));
  }

  void Throughput() {
    if (settings_.wait_for_profile) std::fprintf(stderr, "gateway is %d\n", pid_);
    const double cpu = CpuSeconds(pid_);
    const uint64_t before = sent_;
    const absl::Time begun = absl::Now();
    while (absl::Now() < begun + absl::Seconds(settings_.seconds)) {
      bool any = false;
      for (size_t i = 0; i < publishers_.size(); ++i) {
        for (int n = 0; n < 16 && SendOne(i); ++n) any = true;
      }
      if (!any) std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    AwaitDelivered(sent_);
    const double took = absl::ToDoubleSeconds(absl::Now() - begun);
    const double readings = static_cast<double>(sent_ - before) * settings_.readings_per_record;
    std::printf(
        "%d devices, %zu-byte records: %.0f readings/s, %.0f records/s, gateway %.3f us CPU per reading\n",
        settings_.devices, settings_.record_bytes, readings / took,
        readings / took / settings_.readings_per_record, (CpuSeconds(pid_) - cpu) / readings * 1e6);
  }

  void Latency() {
    std::vector<double> ms;
    for (int i = 0; i < 2000; ++i) {
      const absl::Time begun = absl::Now();
      SendOne(0);
      AwaitDelivered(sent_);
      ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - begun));
    }
    std::sort(ms.begin(), ms.end());
    std::printf("one at a time, device to app: median %.3f ms, p99 %.3f ms\n", ms[1000], ms[1980]);
  }

  const Settings settings_;
  const std::string folder_;
  const std::string content_ = std::string(settings_.record_bytes, 'x');
  TestUpstream upstream_;
  Household home_;
  pid_t pid_ = 0;
  int port_ = 0;
  std::vector<MemberId> members_;
  std::vector<CertificateFiles> leaves_;
  std::vector<GroupHeader> headers_;
  std::map<size_t, uint64_t> next_;
  uint64_t sent_ = 0;
  absl::Mutex mutex_;
  std::vector<uint64_t> durable_ ABSL_GUARDED_BY(mutex_);
  uint64_t delivered_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::unique_ptr<Subscriber> app_;
};

}  // namespace
}  // namespace keystead::testing

int main(int argc, char** argv) {
  CLI::App app("Measures a gateway");
  keystead::testing::Settings settings;
  app.add_option("--gateway", settings.program, "The program")->required();
  app.add_option("--devices", settings.devices)->capture_default_str();
  app.add_option("--record-bytes", settings.record_bytes)->capture_default_str();
  app.add_option("--readings", settings.readings_per_record, "Readings in a record")->capture_default_str();
  app.add_option("--seconds", settings.seconds)->capture_default_str();
  app.add_option("--window-bytes", settings.window_bytes, "Of each device")->capture_default_str();
  app.add_flag("--latency", settings.one_at_a_time, "One record at a time");
  app.add_flag("--profile", settings.wait_for_profile, "Say which process the gateway is");
  CLI11_PARSE(app, argc, argv);
  keystead::ConfigureLog({.program = "bench", .level = keystead::LogLevel::kError}).IgnoreError();
  if (!keystead::PinTls13Process().ok()) return 1;
  return keystead::testing::Bench(settings).Run();
}
