#include "tests/load/engine.h"

#include <grpcpp/security/credentials.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "tests/load/device.h"
#include "tests/load/machine.h"
#include "tests/load/subscription.h"

namespace keystead::load {
namespace {

constexpr size_t kHandshakesAtOnce = 32;
constexpr int64_t kLongestSleepNs = 2'000'000;  // until a wake that the other thread asked for is seen
constexpr absl::Duration kCloseGrace = absl::Seconds(20);

void Start(const std::vector<ReadyWrite>& writes) {
  for (const ReadyWrite& write : writes) write.stream->Write(*write.request, write.tag);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> DialAs(const Target& target, const Identity& identity) {
  TlsOptions tls;
  tls.files = identity.files;
  tls.refresh_seconds = 0;
  KS_ASSIGN_OR_RETURN(const auto credentials, MakeChannelCredentials(tls, target.server));
  ChannelOptions options;
  options.own_connection = true;
  return DialChannel(target.address, credentials, options);
}

EngineCore::EngineCore(grpc::CompletionQueue* queue) : cq(queue) {}
EngineCore::~EngineCore() = default;

void EngineCore::Bury(std::vector<std::unique_ptr<Subscription>> dead) {
  for (auto& one : dead) dead_.push_back(std::move(one));
}

void EngineCore::WakeAt(int64_t time_ns, std::function<void(int64_t)> what) {
  wakes_.push({time_ns, std::make_shared<std::function<void(int64_t)>>(std::move(what))});
}

void EngineCore::RunDue(int64_t now_ns) {
  while (!wakes_.empty() && wakes_.top().time_ns <= now_ns) {
    const auto what = wakes_.top().what;
    wakes_.pop();
    (*what)(now_ns);
  }
}

Engine::Engine(Target target) : target_(std::move(target)) {
  pacer_ = std::thread([this] { Pace(); });
  completer_ = std::thread([this] { Complete(); });
}

Engine::~Engine() {
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& device : devices_) device->Close();
    const auto idle = [this] {
      for (const auto& device : devices_) {
        if (!device->idle()) return false;
      }
      return true;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&idle), kCloseGrace);
    stopping_ = true;
  }
  pacer_.join();
  queue_.Shutdown();
  completer_.join();
}

absl::Status Engine::Add(size_t tenant, const Identity& identity, const GroupHeader& header) {
  KS_ASSIGN_OR_RETURN(auto channel, DialAs(target_, identity));
  devices_.push_back(std::make_unique<Device>(&core_, tenant, std::move(channel), header));
  return absl::OkStatus();
}

absl::Status Engine::Connect(absl::Duration patience) {
  absl::MutexLock lock(&mutex_);
  size_t next = 0;
  size_t open = 0;
  absl::Status failed;
  for (const auto& device : devices_) {
    device->set_on_change([&, one = device.get()] {
      if (one->open()) {
        ++open;
      } else if (failed.ok()) {
        failed = one->last_end();
      }
      if (next < devices_.size()) devices_[next++]->Open();
    });
  }
  while (next < std::min(kHandshakesAtOnce, devices_.size())) devices_[next++]->Open();
  const auto settled = [&] { return open == devices_.size() || !failed.ok(); };
  const bool in_time = mutex_.AwaitWithTimeout(absl::Condition(&settled), patience);
  for (const auto& device : devices_) device->set_on_change(nullptr);
  if (!failed.ok())
    return {failed.code(),
            absl::StrCat("a device was not let in at ", target_.address, ": ", failed.message())};
  if (in_time) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(open, " of ", devices_.size(), " devices connected to ",
                                             target_.address, " in ", absl::FormatDuration(patience)));
}

void Engine::Begin(Recorder* recorder, const DeviceLoad& load) {
  const auto shared = std::make_shared<const DeviceLoad>(load);
  SmallRandom seeds(load.seed);
  std::vector<ReadyWrite> writes;
  {
    absl::MutexLock lock(&mutex_);
    core_.recorder = recorder;
    for (const auto& device : devices_) device->Begin(shared, seeds.Next());
    writes.swap(core_.writes);
  }
  Start(writes);
}

void Engine::Drain(int64_t deadline_ns) {
  absl::MutexLock lock(&mutex_);
  size_t left = 0;  // counted down: a condition is looked at whenever the lock is released
  std::vector<bool> counted(devices_.size(), true);
  for (size_t i = 0; i < devices_.size(); ++i) {
    Device* const device = devices_[i].get();
    if (device->drained()) continue;
    ++left;
    counted[i] = false;
    device->set_on_change([&left, &counted, i, device] {
      if (!device->drained() || counted[i]) return;
      counted[i] = true;
      --left;
    });
  }
  const auto drained = [&left] { return left == 0; };
  mutex_.AwaitWithTimeout(absl::Condition(&drained), absl::Nanoseconds(deadline_ns - NowNs()));
  for (const auto& device : devices_) device->set_on_change(nullptr);
  const int64_t now = NowNs();
  for (const auto& device : devices_) device->GiveUp(now);
}

void Engine::Hush() {
  const int64_t now = NowNs();
  absl::MutexLock lock(&mutex_);
  for (const auto& device : devices_) device->Hush(now);
}

void Engine::Rest() {
  absl::MutexLock lock(&mutex_);
  core_.recorder = nullptr;
}

void Engine::Locked(const std::function<void(EngineCore&)>& what) {
  absl::MutexLock lock(&mutex_);
  what(core_);
}

void Engine::AwaitLocked(const std::function<bool()>& condition, absl::Duration patience) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&condition), patience);
}

size_t Engine::connected() {
  absl::MutexLock lock(&mutex_);
  size_t out = 0;
  for (const auto& device : devices_) out += device->open() ? 1 : 0;
  return out;
}

void Engine::Pace() {
  WakePunctually();
  std::vector<ReadyWrite> writes;
  while (true) {
    int64_t until = 0;
    writes.clear();
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
      const int64_t now = NowNs();
      core_.RunDue(now);
      until = std::min(core_.next_wake_ns(), now + kLongestSleepNs);
      writes.swap(core_.writes);
    }
    Start(writes);
    SleepUntilNs(until);
  }
}

void Engine::Complete() {
  void* tag = nullptr;
  bool ok = false;
  std::vector<ReadyWrite> writes;
  while (queue_.Next(&tag, &ok)) {
    {
      absl::MutexLock lock(&mutex_);
      const Tag* const of = static_cast<Tag*>(tag);
      of->completion->Done(of->operation, ok);
      writes.swap(core_.writes);
    }
    Start(writes);
    writes.clear();
  }
}

}  // namespace keystead::load
