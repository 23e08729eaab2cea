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
  void Drain();
  void Drop();
  void Forget(uint32_t tenant);
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
  void HandOver(Flow& flow, Dropped& dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  storage::LogStore* const store_;
  const Options options_;
  mutable absl::Mutex mutex_;
  absl::node_hash_map<uint32_t, Flow> flows_ ABSL_GUARDED_BY(mutex_);
  std::list<Flow*> new_ ABSL_GUARDED_BY(mutex_);
  std::list<Flow*> old_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t at_writer_ ABSL_GUARDED_BY(mutex_) = 0;
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
      HandOver(flow, dropped);
    } else if (&list == &new_) {
      old_.splice(old_.end(), list, list.begin());  // not away at once: coming back would make it new again
    } else {
      flow.is_active = false;
      list.pop_front();
    }
  }
}

void FairQueue::State::HandOver(Flow& flow, Dropped& dropped) {
  Waiting next = std::move(flow.tasks.front());
  flow.tasks.pop_front();
  flow.deficit -= static_cast<double>(next.cost);
  flow.bytes -= next.cost;
  flow.waited += absl::Now() - next.since;
  waiting_ -= next.cost;
  at_writer_ += next.cost;  // before: it may be done at once
  const absl::Status taken =
      store_->Submit(std::make_unique<Passing<State>>(shared_from_this(), next.task, next.cost));
  if (taken.ok()) return;
  at_writer_ -= next.cost;
  dropped.push_back(std::move(next.task));
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

void FairQueue::State::Forget(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  const auto found = flows_.find(tenant);
  if (found != flows_.end() && !found->second.is_active) flows_.erase(found);
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
void FairQueue::Forget(uint32_t tenant) { state_->Forget(tenant); }

absl::Status FairQueue::Submit(const TenantView& tenant, std::unique_ptr<storage::Task> task) {
  return state_->Submit(tenant, std::move(task));
}

FairQueue::Usage FairQueue::UsageOf(const TenantView& tenant) const {
  return state_->UsageOf(tenant.number());
}

}  // namespace keystead::backend
