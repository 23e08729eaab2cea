// keystead-transport-bench: what the transport does on this machine. Not a test. Publishers, one or two hops
// with real stores and a subscriber in one process, over loopback with or without mutual TLS.
#include <grpcpp/server_builder.h>
#include <sys/resource.h>

#include <grpcpp/security/credentials.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "core/identity/tls_process.h"
#include "core/transport/channel_options.h"
#include "core/transport/hop.h"
#include "core/transport/publisher.h"
#include "core/transport/server.h"
#include "core/transport/subscriber.h"
#include "core/transport/tls_credentials.h"
#include "core/transport/transport_service.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/transport/test_groups.h"

namespace keystead::testing {
namespace {

struct Settings {
  int publishers = 16;
  size_t bytes = 300;  // of a record
  int seconds = 5;
  int hops = 1;
  bool tls = true;
  size_t buffer = 1 << 20;  // per publisher: how much is under way
  double rate = 0;          // groups per second over all publishers; 0: as fast as it goes
  size_t gather_from = 2;
  double linger_ms = 0;
  std::string folder = "/tmp";
  std::string policy_publish = "/keystead.v1.Transport/Publish";
  std::string policy_subscribe = "/keystead.v1.Transport/Subscribe";
};

template <class T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "bench: %s\n", value.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(value);
}

// Lets everyone in, and passes on what it has stored when there is a next hop.
class BenchHop final : public Hop {
 public:
  BenchHop(const Settings& settings, const PrincipalResolver* resolver)
      : settings_(settings), resolver_(resolver) {}
  absl::StatusOr<std::shared_ptr<const Principal>> Authenticate(
      const grpc::ServerContextBase& context) override {
    if (settings_.tls) return PrincipalOf(context, *resolver_);
    return std::make_shared<const Principal>(
        Principal::ForTesting(*SpiffeId::Parse("spiffe://acme.keystead.example/device/d")));
  }
  absl::Status CheckStillValid(const Principal& principal) override {
    return settings_.tls ? resolver_->CheckStillValid(principal) : absl::OkStatus();
  }
  absl::Status Submit(const Principal&, std::unique_ptr<storage::Task> task, const TaskLoad&) override {
    return store->Submit(std::move(task));
  }
  absl::StatusOr<uint32_t> Admit(storage::Transaction&, const Principal&, const GroupView&) override {
    return 1;
  }
  absl::StatusOr<uint32_t> AdmitSubscribe(storage::Transaction&, const Principal&,
                                          const SubscribeDemand&) override {
    return 1;
  }
  void Committed(const Principal&, std::span<const StoredGroup> groups, const absl::Status& status) override {
    if (next == nullptr || !status.ok()) return;
    for (const StoredGroup& group : groups) {
      if (group.outcome.stored != nullptr && !next->Enqueue(group.outcome.stored).ok()) ++dropped;
    }
  }

  storage::LogStore* store = nullptr;
  Publisher* next = nullptr;
  std::atomic<uint64_t> dropped{0};

 private:
  const Settings& settings_;
  const PrincipalResolver* const resolver_;
};

struct World {
  TenantDirectory directory;
  DenyList deny_list;
  std::shared_ptr<PrincipalResolver> resolver = std::make_shared<PrincipalResolver>(&directory, &deny_list);
  std::shared_ptr<grpc::ChannelCredentials> device;
  std::shared_ptr<grpc::ChannelCredentials> app;
};

class BenchServer {
 public:
  BenchServer(const Settings& settings, World& world, int number) : hop_(settings, world.resolver.get()) {
    path_ = settings.folder + "/keystead-bench-" + std::to_string(getpid()) + "-" + std::to_string(number);
    storage::Options store_options;
    store_options.path = path_;
    store_options.format_name = "transport-bench";
    store_ = Must(storage::LogStore::Open(store_options));
    hop_.store = store_.get();
    log_ = std::make_unique<RecordLog>(store_.get());
    executor_ = std::make_unique<Executor>(2);
    service_ = std::make_unique<TransportService>(&hop_, log_.get(), executor_.get());
    if (settings.tls) {
      ServerOptions options;
      options.listen_address = "127.0.0.1:0";
      options.credentials = Must(MakeServerCredentials({.files = TestPki::Shared().Backend()}));
      options.resolver = world.resolver;
      options.policy = AuthorizationPolicy{{settings.policy_publish, RoleSet::Operational()},
                                           {settings.policy_subscribe, RoleSet::Operational()}};
      options.services = {service_->service()};
      running_ = std::make_unique<RunningServer>(Must(StartServer(options)));
      address_ = running_->address();
    } else {
      grpc::ServerBuilder builder;
      int port = 0;
      builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
      builder.RegisterService(service_->service());
      builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
      builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 256 << 10);
      plain_ = builder.BuildAndStart();
      address_ = "127.0.0.1:" + std::to_string(port);
    }
  }
  ~BenchServer() {
    service_->Stop();
    if (plain_) plain_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    plain_.reset();
    running_.reset();
    executor_.reset();
    store_.reset();
    service_.reset();
    log_.reset();
    std::filesystem::remove_all(path_);
  }
  const std::string& address() const { return address_; }
  BenchHop& hop() { return hop_; }
  void Print(const char* name) const {
    const storage::Stats store = store_->GetStats();
    const TransportServiceStats service = service_->GetStats();
    std::printf(
        "  %s: %llu commits of %.1f groups, mean %.2f ms, longest %.1f ms; %.1f groups a request, "
        "%.1f requests an ack, %.1f groups a message; tail misses %llu\n",
        name, static_cast<unsigned long long>(store.commits),
        static_cast<double>(store.entries) / static_cast<double>(std::max<uint64_t>(store.commits, 1)),
        absl::ToDoubleMilliseconds(store.commit_time) /
            static_cast<double>(std::max<uint64_t>(store.commits, 1)),
        absl::ToDoubleMilliseconds(store.longest_commit),
        static_cast<double>(service.groups_in) / static_cast<double>(std::max<uint64_t>(service.requests, 1)),
        static_cast<double>(service.requests) / static_cast<double>(std::max<uint64_t>(service.acks, 1)),
        static_cast<double>(service.groups_out) /
            static_cast<double>(std::max<uint64_t>(service.messages_out, 1)),
        static_cast<unsigned long long>(store.tail_misses));
  }

 private:
  std::string path_;
  std::string address_;
  BenchHop hop_;
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<RecordLog> log_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<TransportService> service_;
  std::unique_ptr<RunningServer> running_;
  std::unique_ptr<grpc::Server> plain_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// One publisher with a stream of its own; groups of one record that begins with its time.
class Source {
 public:
  Source(const Settings& settings, const World& world, const std::string& address, int number)
      : builder_(TestHeader(number)), record_(settings.bytes, 'x') {
    PublisherOptions options;
    options.max_buffer_bytes = settings.buffer;
    options.requests_before_gathering = settings.gather_from;
    options.linger = absl::Milliseconds(settings.linger_ms);
    PublisherCallbacks callbacks;
    callbacks.on_durable = [this](uint64_t) {
      absl::MutexLock lock(&mutex_);
      room_ = true;
    };
    publisher_ = std::make_unique<Publisher>(DialChannel(address, world.device, {.own_connection = true}),
                                             callbacks, options);
    publisher_->Start();
  }
  // False when the buffer is full.
  bool Send() {
    const int64_t now = absl::GetCurrentTimeNanos();
    std::memcpy(record_.data(), &now, sizeof now);
    if (pending_ == nullptr) {
      builder_.Append(sequence_++, AsBytes(record_)).IgnoreError();
      pending_ = builder_.Take();
    }
    {
      absl::MutexLock lock(&mutex_);
      room_ = false;
    }
    if (!publisher_->Enqueue(pending_).ok()) return false;
    pending_ = nullptr;
    absl::MutexLock lock(&mutex_);
    return room_ = true;
  }
  bool has_room() {
    absl::MutexLock lock(&mutex_);
    return room_;
  }
  void Stop() { publisher_->Stop(); }

 private:
  GroupBuilder builder_;
  std::string record_;
  Payload pending_;
  uint64_t sequence_ = 0;
  std::unique_ptr<Publisher> publisher_;
  absl::Mutex mutex_;
  bool room_ = true;
};

void Measure(const Settings& settings) {
  World world;
  if (settings.tls) {
    if (!world.directory.LoadFolder(TestPki::Shared().folder() + "/tenants").ok()) std::exit(1);
    const auto channel = [](Role role) {
      return Must(MakeChannelCredentials(
          {.files = TestPki::Shared().Leaf(kAcme, role, "bench")},
          Must(PeerExpectation::Parse("spiffe://provider-one.example/service/backend"))));
    };
    world.device = channel(Role::kDevice);
    world.app = channel(Role::kApp);
  } else {
    world.device = world.app = grpc::InsecureChannelCredentials();
  }
  auto owned_first = std::make_unique<BenchServer>(settings, world, 1);
  BenchServer& first = *owned_first;
  std::unique_ptr<BenchServer> second;
  std::unique_ptr<Publisher> forwarder;
  if (settings.hops == 2) {
    second = std::make_unique<BenchServer>(settings, world, 2);
    PublisherOptions options;
    options.max_buffer_bytes = 256 << 20;
    options.requests_before_gathering = 4;
    forwarder =
        std::make_unique<Publisher>(DialChannel(second->address(), world.device, {.own_connection = true}),
                                    PublisherCallbacks(), options);
    forwarder->Start();
    first.hop().next = forwarder.get();
  }
  absl::Mutex mutex;
  uint64_t received = 0;
  std::vector<float> latencies;
  size_t caught_up = 0;
  SubscriberCallbacks callbacks;
  callbacks.on_entries = [&](const TopicBatch& batch) {
    const int64_t now = absl::GetCurrentTimeNanos();
    absl::MutexLock lock(&mutex);
    received += batch.groups.size();
    int64_t sent = 0;
    const std::string& last = *batch.groups.back();
    std::memcpy(&sent, last.data() + last.size() - settings.bytes, sizeof sent);
    latencies.push_back(static_cast<float>(static_cast<double>(now - sent) * 1e-6));
  };
  callbacks.on_caught_up = [&](const Topic&) {
    absl::MutexLock lock(&mutex);
    ++caught_up;
  };
  SubscriberOptions options;
  options.tenant = TestTenant();
  options.instantiation = TestInstantiation();
  Subscriber subscriber(
      DialChannel(second ? second->address() : first.address(), world.app, {.own_connection = true}),
      callbacks, options);
  std::vector<SubscriberTopic> topics;
  for (int i = 0; i < settings.publishers; ++i) topics.push_back({.topic = TestTopic(i)});
  if (!subscriber.Add(topics).ok()) std::exit(1);
  subscriber.Start();
  {
    const auto ready = [&] { return caught_up == topics.size(); };
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&ready));
  }
  std::vector<std::unique_ptr<Source>> sources;
  for (int i = 0; i < settings.publishers; ++i)
    sources.push_back(std::make_unique<Source>(settings, world, first.address(), i));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));

  const double cpu_before = CpuSeconds();
  const absl::Time start = absl::Now();
  const absl::Time end = start + absl::Seconds(settings.seconds);
  uint64_t sent = 0;
  while (absl::Now() < end) {
    bool any = false;
    if (settings.rate > 0) {
      const auto due = static_cast<uint64_t>(absl::ToDoubleSeconds(absl::Now() - start) * settings.rate);
      for (; sent < due; ++sent) any = sources[sent % sources.size()]->Send() || any;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      continue;
    }
    for (auto& source : sources) {
      for (int burst = 0; burst < 16 && source->has_room(); ++burst) {
        if (!source->Send()) break;
        ++sent;
        any = true;
      }
    }
    if (!any) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const double cpu = CpuSeconds() - cpu_before;
  {
    absl::MutexLock lock(&mutex);
    std::sort(latencies.begin(), latencies.end());
    const auto at = [&](double share) {
      return latencies.empty()
                 ? 0.0f
                 : latencies[static_cast<size_t>(share * static_cast<double>(latencies.size() - 1))];
    };
    std::printf(
        "%d publishers, %zu bytes, %d hop(s), %s: %.0f groups/s at the subscriber, %.1f MB/s, %.1f us CPU a "
        "group, latency p50 %.2f ms p99 %.2f ms\n",
        settings.publishers, settings.bytes, settings.hops, settings.tls ? "mTLS" : "plain",
        static_cast<double>(received) / seconds,
        static_cast<double>(received * settings.bytes) / seconds / 1e6,
        cpu * 1e6 / static_cast<double>(std::max<uint64_t>(received, 1)), static_cast<double>(at(0.5)),
        static_cast<double>(at(0.99)));
  }
  first.Print("first hop");
  if (second) second->Print("second hop");
  for (auto& source : sources) source->Stop();
  subscriber.Stop();
  if (first.hop().dropped > 0) {
    std::printf("  forwarder's buffer was full %llu times\n",
                static_cast<unsigned long long>(first.hop().dropped.load()));
  }
  owned_first.reset();  // before what it forwards with
  if (forwarder) forwarder->Stop();
}

}  // namespace
}  // namespace keystead::testing

int main(int argc, char** argv) {
  // Debian's Abseil follows the order of all locks, which costs some 4 % here.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (!keystead::PinTls13Process().ok()) return 1;
  keystead::testing::Settings settings;
  CLI::App app{"Measures publishers, hops and a subscriber in one process"};
  app.add_option("--publishers", settings.publishers);
  app.add_option("--bytes", settings.bytes, "of a record, which is a group");
  app.add_option("--seconds", settings.seconds);
  app.add_option("--hops", settings.hops)->check(CLI::Range(1, 2));
  app.add_option("--tls", settings.tls);
  app.add_option("--buffer", settings.buffer, "bytes under way per publisher");
  app.add_option("--rate", settings.rate, "groups per second in all, 0: as fast as it goes");
  app.add_option("--gather-from", settings.gather_from);
  app.add_option("--linger-ms", settings.linger_ms);
  app.add_option("--folder", settings.folder);
  CLI11_PARSE(app, argc, argv);
  keystead::testing::Measure(settings);
}
