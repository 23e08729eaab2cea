// All devices of a process: made, stepped when something is due, loaded, stopped.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/observe/metrics.h"
#include "core/transport/enroller.h"
#include "core/transport/hop_channel.h"
#include "device-sim/device.h"
#include "device-sim/device_clock.h"
#include "device-sim/options.h"

namespace keystead::device_sim {

// Thread-compatible.
class Fleet {
 public:
  // Opens state and certificates and makes every device. Errors are one line that says what is wrong and what
  // to do.
  static absl::StatusOr<std::unique_ptr<Fleet>> Create(const Options& options);
  ~Fleet();

  absl::Status Start();
  // Ends streams with a signed end, waits until `patience` for the hop, stores everything.
  void Stop(absl::Duration patience);

  const std::vector<std::unique_ptr<Device>>& devices() const { return devices_; }

 private:
  explicit Fleet(const Options& options) : options_(options) {}
  absl::Status OpenState();
  absl::Status MakeDevices();
  absl::Status StartEnrolling();
  absl::StatusOr<SpiffeId> Identify(size_t index, const std::string& id, HopChannel& channel);
  absl::StatusOr<DeviceConfig> ConfigFor(size_t index, const std::string& id, const SignalOptions& signals,
                                         uint64_t seed);
  absl::Status WriteLabels() const;
  void RunSchedule();
  void SyncWhenDue(absl::Duration now);
  void RunJoins();
  void RunLoad(size_t thread, size_t threads);
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  const Options options_;
  DeviceClock clock_;
  DeviceWorld world_;
  std::unique_ptr<StateFolder> folder_;
  StateFolder::Lock lock_;
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<Executor> executor_;
  std::vector<HopChannel> channels_;    // of devices that enroll
  std::unique_ptr<Enroller> enroller_;  // of those; null when they do not
  std::vector<std::unique_ptr<Device>> devices_;
  std::atomic<bool> stopping_ = false;
  absl::Duration synced_at_;   // THREAD: scheduler
  uint64_t synced_bytes_ = 0;  // likewise

  using Due = std::pair<absl::Duration, size_t>;  // device uptime, device
  absl::Mutex mutex_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_ ABSL_GUARDED_BY(mutex_);
  size_t stepping_ ABSL_GUARDED_BY(mutex_) = 0;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool schedule_over_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<size_t> joiners_ ABSL_GUARDED_BY(mutex_);  // last first

  std::optional<MetricSource> metrics_;  // while it runs
  std::thread scheduler_;
  std::vector<std::thread> join_threads_;
  std::vector<std::thread> load_threads_;
};

}  // namespace keystead::device_sim
