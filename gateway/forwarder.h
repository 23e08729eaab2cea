// Sends what the LAN published to the next hop, in order and as the bytes it came in, and keeps in the store
// how far the next hop has it. gateway/README.md, "The queue".
//
// An entry goes out as soon as it is in the writer's open batch: the next hop's fsync and ours run side by
// side. Whatever fails here is taken back, is sent again by its publisher, and is a duplicate there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/transport/executor.h"
#include "core/transport/hop.h"
#include "core/transport/hop_channel.h"
#include "core/transport/publisher.h"
#include "core/transport/record_log.h"
#include "gateway/outbox.h"

namespace keystead::gateway {

class Forwarder {
 public:
  struct Options {
    uint64_t queue_bytes = uint64_t{256} << 20;
    Outbox::Options outbox;
    PublisherOptions publisher;
    const Clock* clock = &Clock::System();
    std::function<void()> on_connected;  // THREAD: gRPC's; likewise the other
    std::function<void(const absl::Status&)> on_disconnected;
  };
  struct Stats {
    Outbox::Stats outbox;
    bool connected = false;
    uint64_t connections = 0;
    uint64_t requests = 0;
  };

  // The store and log outlive it.
  Forwarder(storage::LogStore* store, RecordLog* log, HopChannel channel, const Options& options);
  ~Forwarder();  // Stop()

  // Finds in the store what the last run left. Once, before Start. Errors are the store's.
  absl::Status Restore();
  void Start();
  // Waits until the queue is empty or `patience` is over; whether it is empty.
  bool Flush(absl::Duration patience);
  void Stop();  // notes the last progress in the store, which must still be open
  // About ten times a second: notes progress, tries again what was refused.
  void Tick();
  // Tries what was parked once more: the roster that the next hop judges by has changed. Thread-safe.
  void RetryParked();

  // Thread-safe. Telemetry may fill seven eighths of the queue: with the next hop away, the switch on the
  // phone still works when the sensors have filled theirs.
  bool HasRoom(TopicKind kind, size_t bytes) const;
  uint64_t CursorOf(storage::LogRef log) const;
  Stats GetStats() const;

  // THREAD: the store's writer.
  // Inside Prepare: these entries, stored in this batch, go to the next hop.
  void Stored(std::span<const StoredGroup> groups);
  // Inside Prepare: this entry came from there.
  void Brought(storage::Transaction& transaction, storage::LogRef log, uint64_t offset);
  // Inside Done, for both.
  void Committed(storage::LogRef log, uint64_t offset, const absl::Status& status);
  void Committed(std::span<const StoredGroup> groups, const absl::Status& status);

 private:
  absl::Status RestoreLog(const storage::LogRef& log);
  void Kick();
  void Feed();  // THREAD: own executor, one at a time
  void OnDurable(uint64_t up_to);
  void OnRefused(uint64_t ticket, const GroupRefusal& refusal);
  // THREAD: own executor.
  void ReportParked(const Outbox::Parked& entry) const;
  absl::Status TryParkedRows();
  void NoteProgress();
  void Count() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { queued_bytes_ = outbox_.bytes(); }

  const Options options_;
  storage::LogStore* const store_;
  RecordLog* const log_;
  mutable absl::Mutex mutex_;
  Outbox outbox_ ABSL_GUARDED_BY(mutex_);
  bool feeding_ ABSL_GUARDED_BY(mutex_) = false;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool noting_ ABSL_GUARDED_BY(mutex_) = false;  // a task with progress is under way
  std::atomic<uint64_t> queued_bytes_{0};
  std::atomic<uint64_t> refusals_logged_{0};
  Executor executor_{1};
  Publisher publisher_;  // its callbacks use the rest
};

}  // namespace keystead::gateway
