// The line before the single writer, so that a tenant who brings a hundred times as much waits for itself and
// not the others for it: by tenant and bytes (core/base/fair_line.h), in commits that take no longer than
// others can wait for (writer_pace.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "backend/tenant_view.h"
#include "backend/writer_pace.h"
#include "core/observe/metrics.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

// Thread-safe.
class FairQueue {
 public:
  struct Options {
    WriterPace::Options pace;  // of bytes and task_cost
    // What may wait here. Above it a tenant is refused that has more than an equal part of it.
    size_t waiting_bytes = 64 << 20;
    size_t quantum_bytes = 32 << 10;  // of a tenant of weight 1 in one round
    size_t task_cost = 2 << 10;       // of a task beside its bytes
  };
  struct Usage {
    size_t waiting_bytes = 0;
    absl::Duration waited;  // by all tasks together, since the start
    uint64_t passed = 0;    // of them
  };

  // The store is not owned and must have finished its tasks, or be destroyed, before the queue's tenants are.
  FairQueue(storage::LogStore* store, const Options& options);
  ~FairQueue();  // what still waits is dropped

  // Tasks of one tenant reach the store in this order. LimitReached("queue") when too much waits; otherwise
  // the task is taken, and is destroyed without Done() should the store be closing. A store that is full is
  // asked again.
  absl::Status Submit(const TenantView& tenant, std::unique_ptr<storage::Task> task);

  // Waits until nothing waits any more. When nobody submits.
  void Drain();

  // Of a tenant that was erased, once it has nothing here any more.
  void Forget(uint32_t tenant);

  Usage UsageOf(const TenantView& tenant) const;

 private:
  class State;
  const std::shared_ptr<State> state_;
  const MetricSource metrics_;
};

}  // namespace keystead::backend
