#include "backend/fair_queue.h"

#include <algorithm>
#include <deque>
#include <list>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/node_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "core/base/mutants.h"
#include "core/transport/limit_status.h"

namespace keystead::backend {
namespace {

constexpr absl::Duration kComeBack = absl::Milliseconds(500);

}  // namespace

class FairQueue::State : public std::enable_shared_from_this<State> {
 public:
  State(storage::LogStore* store, const Options& options) : store_(store), options_(options) {}

  absl::Status Submit(const TenantView& tenant, std::unique_ptr<storage::Task> task);
  void Done(size_t cost);
  void Rung();
  void Drain();
  void Drop();
  Usage UsageOf(uint32_t tenant) const;

 private:
  struct Waiting {
    std::shared_ptr<storage::Task> task;
    size_t cost = 0;
    absl::Time since;
  };
  struct Flow {
    std::deque<Waiting> tasks;
    double deficit = 0;
    double quantum = 0;
    bool is_active = false;  // stands in one of the lists
    size_t bytes = 0;
    absl::Duration waited;
  };
  using Dropped = std::vector<std::shared_ptr<storage::Task>>;

  // Hands over to the store while there is room. What the store refused is to be destroyed without the lock:
  // what a task does then may lead back here.
  void Pump(Dropped& dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: the store is full of what others brought it; the task still waits, and a Pump is to come.
  bool HandOver(Flow& flow, Dropped& dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WillPump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  storage::LogStore* const store_;
  const Options options_;
  mutable absl::Mutex mutex_;
  absl::node_hash_map<uint32_t, Flow> flows_ ABSL_GUARDED_BY(mutex_);
  std::list<Flow*> new_ ABSL_GUARDED_BY(mutex_);
  std::list<Flow*> old_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t at_writer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool has_bell_ ABSL_GUARDED_BY(mutex_) = false;  // in the store
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
  Dropped dropped;
  absl::MutexLock lock(&mutex_);
  Flow& flow = flows_[tenant.number()];
  const size_t sharers = new_.size() + old_.size() + (flow.is_active ? 0 : 1);
  if (waiting_ + cost > options_.waiting_bytes && flow.bytes + cost > options_.waiting_bytes / sharers &&
      !flow.tasks.empty()) {
    tenant.account().CountRefused(limit_names::kQueue);
    dropped.push_back(std::move(task));
    return LimitReached(limit_names::kQueue, kComeBack);
  }
  flow.tasks.push_back({std::move(task), cost, absl::Now()});
  flow.bytes += cost;
  waiting_ += cost;
  flow.quantum = tenant.account().weight() * static_cast<double>(options_.quantum_bytes);
  if (!flow.is_active) {
    flow.is_active = true;
    flow.deficit = flow.quantum;
    new_.push_back(&flow);
  }
  Pump(dropped);
  return absl::OkStatus();
}

void FairQueue::State::Pump(Dropped& dropped) {
  while (at_writer_ < options_.writer_bytes && !(new_.empty() && old_.empty())) {
    std::list<Flow*>& list = new_.empty() ? old_ : new_;
    Flow& flow = *list.front();
    if (flow.deficit <= 0) {
      flow.deficit += flow.quantum;
      old_.splice(old_.end(), list, list.begin());
    } else if (!flow.tasks.empty()) {
      if (!HandOver(flow, dropped)) return;
    } else if (&list == &new_) {
      old_.splice(old_.end(), list, list.begin());  // not away at once: coming back would make it new again
    } else {
      flow.is_active = false;
      list.pop_front();
    }
  }
}

bool FairQueue::State::HandOver(Flow& flow, Dropped& dropped) {
  const std::shared_ptr<storage::Task> task = flow.tasks.front().task;
  const size_t cost = flow.tasks.front().cost;
  at_writer_ += cost;  // before: it may be done at once
  const absl::Status taken = store_->Submit(std::make_unique<Passing<State>>(shared_from_this(), task, cost));
  if (!taken.ok()) {
    at_writer_ -= cost;
    if (absl::IsResourceExhausted(taken) && WillPump()) return false;
    dropped.push_back(task);
  }
  flow.waited += absl::Now() - flow.tasks.front().since;
  flow.tasks.pop_front();
  flow.deficit -= static_cast<double>(cost);
  flow.bytes -= cost;
  waiting_ -= cost;
  return true;
}

// Whatever of ours is at the writer comes back. Otherwise all that fills the store is from others, who pass
// this queue by: a bell stands behind it.
bool FairQueue::State::WillPump() {
  if (at_writer_ == 0 && !has_bell_)
    has_bell_ = store_->Submit(std::make_unique<Bell<State>>(shared_from_this())).ok();
  return at_writer_ > 0 || has_bell_;
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
  at_writer_ -= cost;
  Pump(dropped);
}

void FairQueue::State::Drain() {
  const auto quiet = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return waiting_ + at_writer_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&quiet));
}

void FairQueue::State::Drop() {
  Dropped dropped;
  absl::MutexLock lock(&mutex_);
  for (auto& [tenant, flow] : flows_) {
    for (Waiting& waiting : flow.tasks) dropped.push_back(std::move(waiting.task));
    flow = Flow();
  }
  new_.clear();
  old_.clear();
  waiting_ = 0;
}

FairQueue::Usage FairQueue::State::UsageOf(uint32_t tenant) const {
  absl::MutexLock lock(&mutex_);
  const auto found = flows_.find(tenant);
  if (found == flows_.end()) return {};
  return {found->second.bytes, found->second.waited};
}

FairQueue::FairQueue(storage::LogStore* store, const Options& options)
    : state_(std::make_shared<State>(store, options)) {}
FairQueue::~FairQueue() { state_->Drop(); }
void FairQueue::Drain() { state_->Drain(); }

absl::Status FairQueue::Submit(const TenantView& tenant, std::unique_ptr<storage::Task> task) {
  return state_->Submit(tenant, std::move(task));
}

FairQueue::Usage FairQueue::UsageOf(const TenantView& tenant) const {
  return state_->UsageOf(tenant.number());
}

}  // namespace keystead::backend
