// The open loop: devices with a connection each, two threads for all of them. One thread hands records out
// when their time has come, the other takes in what gRPC has done; both run under one lock.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "core/transport/group_view.h"
#include "tests/load/arrivals.h"
#include "tests/load/credentials.h"
#include "tests/load/record_form.h"
#include "tests/load/recorder.h"

namespace keystead::load {

// Where the server is and who it must be.
struct Target {
  std::string address;  // host:port
  PeerExpectation server;
};
// A connection of its own with this certificate; does not connect yet. Errors name the file.
absl::StatusOr<std::shared_ptr<grpc::Channel>> DialAs(const Target& target, const Identity& identity);

// What is waited for in the completion queue. `ok` is that of grpc::CompletionQueue::Next.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void Done(int operation, bool ok) = 0;  // under the engine's lock
};
struct Tag {
  Completion* completion = nullptr;
  int operation = 0;
};

// What every device does from a time on.
struct DeviceLoad {
  ArrivalKind arrivals = ArrivalKind::kPoisson;
  double per_second = 50;  // of each device; 0: none
  int64_t begin_ns = 0;
  int64_t end_ns = 0;  // the last record is meant to be sent before
  std::shared_ptr<RecordForm> form;
  int records_per_arrival = 1;
  int records_per_group = 512;
  uint64_t backlog = 0;  // records that are there at the beginning
  uint64_t window = 0;   // closed loop instead: so many records under way at any time
  bool obeys = true;     // waits as long as a refusal asks for
  uint64_t seed = 1;
};

class Device;
class Subscription;

// A write that is ready to start. Nothing else touches the call until it is done, so it starts without the
// lock: gRPC sends within that call, and the other thread would wait for it.
struct ReadyWrite {
  grpc::GenericClientAsyncReaderWriter* stream = nullptr;
  grpc::ByteBuffer* request = nullptr;
  Tag* tag = nullptr;
};

// What a device sees of the engine. All under its lock.
class EngineCore {
 public:
  explicit EngineCore(grpc::CompletionQueue* queue);
  ~EngineCore();
  grpc::CompletionQueue* const cq;
  Recorder* recorder = nullptr;
  std::vector<ReadyWrite> writes;  // for who holds the lock to start when it has let go of it
  void WakeAt(int64_t time_ns, std::function<void(int64_t now_ns)> what);  // in the order of their times
  void RunDue(int64_t now_ns);
  // Keeps what an earlier WakeAt may still call, as long as this.
  void Bury(std::vector<std::unique_ptr<Subscription>> dead);
  int64_t next_wake_ns() const { return wakes_.empty() ? INT64_MAX : wakes_.top().time_ns; }

 private:
  struct Wake {
    int64_t time_ns = 0;
    std::shared_ptr<std::function<void(int64_t)>> what;
    bool operator>(const Wake& other) const { return time_ns > other.time_ns; }
  };
  std::vector<std::unique_ptr<Subscription>> dead_;
  std::priority_queue<Wake, std::vector<Wake>, std::greater<>> wakes_;
};

// Thread-safe.
class Engine {
 public:
  explicit Engine(Target target);
  ~Engine();  // ends all calls

  // A device of tenant number `tenant` of the recorder; the stream in `header` is chosen anew by every Begin.
  absl::Status Add(size_t tenant, const Identity& identity, const GroupHeader& header);

  // Opens every device's connection and its Publish call, a few at a time, and waits until the server has let
  // all of them in. UNAVAILABLE or the status with which a call ended.
  absl::Status Connect(absl::Duration patience);

  // From now on everything is recorded there. `recorder` must outlive the engine, or be let go of
  // with Rest.
  void Begin(Recorder* recorder, const DeviceLoad& load);
  // Waits until all records are acknowledged or refused, at the latest until `deadline_ns`; then gives up
  // what is left; calls on which something was left are begun anew.
  void Drain(int64_t deadline_ns);

  // Sends nothing that was never sent; what is under way goes on.
  void Hush();
  // No recorder any more: what still ends is counted by nobody. Before the recorder of Begin is gone.
  void Rest();

  // Runs under the lock, for who opens further calls on the same queue.
  void Locked(const std::function<void(EngineCore&)>& what);
  void AwaitLocked(const std::function<bool()>& condition, absl::Duration patience);

  size_t devices() const { return devices_.size(); }
  size_t connected();  // devices whose call is open now
  const Target& target() const { return target_; }

 private:
  void Pace();      // THREAD: pacer_
  void Complete();  // THREAD: completer_

  const Target target_;
  absl::Mutex mutex_;
  grpc::CompletionQueue queue_;
  EngineCore core_ ABSL_GUARDED_BY(mutex_){&queue_};
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Device>> devices_;  // fixed once Connect was called
  std::thread pacer_;
  std::thread completer_;
};

}  // namespace keystead::load
