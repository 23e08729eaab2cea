#include "backend/fair_queue.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "core/base/fair_line.h"
#include "core/base/mutants.h"
#include "core/transport/limit_status.h"

namespace keystead::backend {
namespace {

constexpr absl::Duration kComeBack = absl::Milliseconds(500);

constexpr Metric kWait = {"keystead_fair_queue_wait_seconds",
                          "How long tasks waited for their tenant's turn at the writer.",
                          MetricType::kHistogram};
constexpr Metric kWaitingBytes = {"keystead_fair_queue_bytes", "Bytes of all tenants that wait there.",
                                  MetricType::kGauge};
constexpr Metric kWaitingTenants = {"keystead_fair_queue_waiting_tenants",
                                    "Tenants of which something waits.", MetricType::kGauge};
constexpr Metric kAge = {"keystead_fair_queue_age_seconds",
                         "How long what has waited longest has waited; 0: nothing waits.",
                         MetricType::kGauge};
constexpr Metric kAtWriter = {"keystead_fair_queue_at_writer_bytes",
                              "Bytes that passed it and are not committed yet.", MetricType::kGauge};

}  // namespace

class FairQueue::State : public std::enable_shared_from_this<State> {
 public:
  State(storage::LogStore* store, const Options& options)
      : store_(store), options_(options), pace_(options.pace) {}

  absl::Status Submit(const TenantView& tenant, std::unique_ptr<storage::Task> task);
  void Done(size_t cost);
  void Rung();
  void Drain();
  void Drop();
  void Forget(uint32_t tenant);
  Usage UsageOf(uint32_t tenant) const;
  void CollectMetrics(MetricWriter& out) const;

 private:
  struct Waiting {
    std::shared_ptr<storage::Task> task;
    size_t cost = 0;
    absl::Time since;
  };
  using Line = FairLine<Waiting>;
  using Dropped = std::vector<std::shared_ptr<storage::Task>>;

  // Hands over to the store while there is room. What the store refused is to be destroyed without the lock:
  // what a task does then may lead back here.
  void Pump(Dropped& dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: the store is full of what others brought it; the task still waits, and a Pump is to come.
  bool HandOver(Line::Next next, Dropped& dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WillPump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  storage::LogStore* const store_;
  const Options options_;
  mutable absl::Mutex mutex_;
  Line line_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint32_t, Usage> usage_ ABSL_GUARDED_BY(mutex_);  // by tenant
  WriterPace pace_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;     // bytes
  bool has_bell_ ABSL_GUARDED_BY(mutex_) = false;  // in the store
  LatencyHistogram waits_;
};

namespace {

// A task in the store that gives its place back when it is done.
template <class Queue>
class Passing final : public storage::Task {
 public:
  Passing(std::shared_ptr<Queue> queue, std::shared_ptr<storage::Task> task, size_t cost)
      : queue_(std::move(queue)), task_(std::move(task)), cost_(cost) {}
  absl::Status Prepare(storage::Transaction& transaction) override { return task_->Prepare(transaction); }
  void Done(const absl::Status& status) override {
    task_->Done(status);
    queue_->Done(cost_);
  }
  size_t bytes() const override { return task_->bytes(); }
  storage::Durability durability() const override { return task_->durability(); }

 private:
  const std::shared_ptr<Queue> queue_;
  const std::shared_ptr<storage::Task> task_;
  const size_t cost_;
};

// Weighs nothing, so a full store takes it too, and comes back when the store has done what was before it.
template <class Queue>
class Bell final : public storage::Task {
 public:
  explicit Bell(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
  absl::Status Prepare(storage::Transaction&) override { return absl::OkStatus(); }
  void Done(const absl::Status&) override { queue_->Rung(); }
  size_t bytes() const override { return 0; }
  storage::Durability durability() const override { return storage::Durability::kBuffered; }

 private:
  const std::shared_ptr<Queue> queue_;
};

}  // namespace

absl::Status FairQueue::State::Submit(const TenantView& tenant, std::unique_ptr<storage::Task> task) {
  if (MutantActive(Mutant::kFairQueueOff)) return store_->Submit(std::move(task));
  const size_t cost = task->bytes() + options_.task_cost;
  const absl::Time now = absl::Now();
  Dropped dropped;
  absl::MutexLock lock(&mutex_);
  size_t& bytes = usage_[tenant.number()].waiting_bytes;
  if (waiting_ + cost > options_.waiting_bytes && bytes > 0 &&
      bytes + cost > options_.waiting_bytes / line_.flows_waiting()) {
    tenant.account().CountRefused(limit_names::kQueue);
    dropped.push_back(std::move(task));
    return LimitReached(limit_names::kQueue, kComeBack);
  }
  bytes += cost;
  waiting_ += cost;
  pace_.Arrived(tenant.number(), now);
  line_.Push(tenant.number(), tenant.account().weight() * static_cast<double>(options_.quantum_bytes),
             {std::move(task), cost, now});
  Pump(dropped);
  return absl::OkStatus();
}

void FairQueue::State::Pump(Dropped& dropped) {
  const size_t limit = pace_.Limit(absl::Now());
  while (pace_.at_writer() < limit) {
    std::optional<Line::Next> next = line_.Take();
    if (!next.has_value() || !HandOver(*std::move(next), dropped)) return;
  }
}

bool FairQueue::State::HandOver(Line::Next next, Dropped& dropped) {
  const absl::Time now = absl::Now();
  const std::shared_ptr<storage::Task> task = next.item.task;
  const size_t cost = next.item.cost;
  pace_.Given(cost, now);  // before: it may be done at once
  const absl::Status taken = store_->Submit(std::make_unique<Passing<State>>(shared_from_this(), task, cost));
  if (!taken.ok()) {
    pace_.TakenBack(cost);
    if (absl::IsResourceExhausted(taken) && WillPump()) {
      line_.PutBack(std::move(next));
      return false;
    }
    dropped.push_back(task);
  }
  Usage& usage = usage_[static_cast<uint32_t>(next.flow)];
  usage.waited += now - next.item.since;
  ++usage.passed;
  if (MetricsWanted()) waits_.Observe(now - next.item.since);
  usage.waiting_bytes -= cost;
  waiting_ -= cost;
  line_.Pay(next.flow, static_cast<double>(cost));
  return true;
}

// Whatever of ours is at the writer comes back. Otherwise all that fills the store is from others, who pass
// this queue by: a bell stands behind it.
bool FairQueue::State::WillPump() {
  if (pace_.at_writer() == 0 && !has_bell_)
    has_bell_ = store_->Submit(std::make_unique<Bell<State>>(shared_from_this())).ok();
  return pace_.at_writer() > 0 || has_bell_;
}

// THREAD: the store's writer.
void FairQueue::State::Rung() {
  Dropped dropped;
  absl::MutexLock lock(&mutex_);
  has_bell_ = false;
  Pump(dropped);
}

// THREAD: the store's writer.
void FairQueue::State::Done(size_t cost) {
  Dropped dropped;
  absl::MutexLock lock(&mutex_);
  pace_.Done(cost, absl::Now());
  Pump(dropped);
}

void FairQueue::State::Drain() {
  const auto quiet = [this]()
                         ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return waiting_ + pace_.at_writer() == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&quiet));
}

void FairQueue::State::Drop() {
  Dropped dropped;
  absl::MutexLock lock(&mutex_);
  for (Waiting& waiting : line_.Clear()) dropped.push_back(std::move(waiting.task));
  for (auto& [tenant, usage] : usage_) usage.waiting_bytes = 0;
  waiting_ = 0;
}

void FairQueue::State::Forget(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  const auto found = usage_.find(tenant);
  if (found != usage_.end() && found->second.waiting_bytes == 0) usage_.erase(found);
}

FairQueue::Usage FairQueue::State::UsageOf(uint32_t tenant) const {
  absl::MutexLock lock(&mutex_);
  const auto found = usage_.find(tenant);
  return found == usage_.end() ? Usage() : found->second;
}

void FairQueue::State::CollectMetrics(MetricWriter& out) const {
  out.Times(kWait, waits_.Read());
  const absl::Time now = absl::Now();
  absl::Duration oldest;
  absl::MutexLock lock(&mutex_);
  line_.ForEachFirst([&](const Waiting& first) { oldest = std::max(oldest, now - first.since); });
  out.Value(kAge, absl::ToDoubleSeconds(oldest));
  out.Value(kWaitingBytes, waiting_);
  out.Value(kWaitingTenants, line_.flows_waiting());
  out.Value(kAtWriter, pace_.at_writer());
}

FairQueue::FairQueue(storage::LogStore* store, const Options& options)
    : state_(std::make_shared<State>(store, options)),
      metrics_([state = state_](MetricWriter& out) { state->CollectMetrics(out); }) {}
FairQueue::~FairQueue() { state_->Drop(); }
void FairQueue::Drain() { state_->Drain(); }
void FairQueue::Forget(uint32_t tenant) { state_->Forget(tenant); }

absl::Status FairQueue::Submit(const TenantView& tenant, std::unique_ptr<storage::Task> task) {
  return state_->Submit(tenant, std::move(task));
}

FairQueue::Usage FairQueue::UsageOf(const TenantView& tenant) const {
  return state_->UsageOf(tenant.number());
}

}  // namespace keystead::backend
