#include "core/storage/log_directory.h"

#include <algorithm>
#include <thread>

namespace keystead::storage {
namespace {

constexpr size_t kEntryOverheadBytes = 96;  // string, control block and pointer of one entry
size_t Cost(const Payload& payload) { return payload->size() + kEntryOverheadBytes; }

}  // namespace

// Its mutex is held while the callback runs, which is what lets the destructor of a Watcher wait for it.
class LogDirectory::WatchState {
 public:
  WatchState(LogRef ref, std::function<void(uint64_t)> on_commit)
      : log(ref), on_commit_(std::move(on_commit)) {}

  void Call(uint64_t end) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (!active_) return;
    caller_.store(std::this_thread::get_id());
    on_commit_(end);
    caller_.store({});
  }
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_) {
    if (caller_.load() == std::this_thread::get_id()) {  // inside the callback: the mutex is ours already
      StopHeld();
      return;
    }
    absl::MutexLock lock(&mutex_);
    active_ = false;
  }

  const LogRef log;

 private:
  void StopHeld() ABSL_NO_THREAD_SAFETY_ANALYSIS { active_ = false; }

  absl::Mutex mutex_;
  std::atomic<std::thread::id> caller_{};
  bool active_ ABSL_GUARDED_BY(mutex_) = true;
  const std::function<void(uint64_t)> on_commit_;
};

class LogDirectory::WatcherImpl final : public Watcher {
 public:
  WatcherImpl(LogDirectory& directory, std::shared_ptr<WatchState> state)
      : directory_(directory), state_(std::move(state)) {}
  ~WatcherImpl() override {
    directory_.Unwatch(state_);
    state_->Stop();
  }

 private:
  LogDirectory& directory_;
  const std::shared_ptr<WatchState> state_;
};

void LogDirectory::Publish(std::vector<LogChange> changes, const std::vector<uint32_t>& erased_tenants) {
  std::vector<std::pair<std::shared_ptr<WatchState>, uint64_t>> calls;
  {
    absl::MutexLock lock(&mutex_);
    for (const uint32_t tenant : erased_tenants) {
      for (auto& [ref, log] : logs_) {
        if (ref.tenant != tenant) continue;
        DropOldest(*log, log->tail_size());
        log->bounds = Bounds{};
      }
    }
    for (LogChange& change : changes) {
      std::unique_ptr<Log>& slot = logs_[change.log];
      if (slot == nullptr) {
        slot = std::make_unique<Log>();
        slot->ref = change.log;
      }
      if (!change.appended.empty()) {
        for (const auto& watcher : slot->watchers) calls.emplace_back(watcher, change.bounds.end);
      }
      Apply(*slot, change);
    }
    while (bytes_ > limit_ && !order_.empty()) {
      Log& oldest = *order_.front();
      DropOldest(oldest, std::max<size_t>(1, oldest.tail_size() / 2));
    }
    if (logs_.size() >= forget_at_) ForgetIdleLogs();
  }
  for (auto& [watcher, end] : calls) watcher->Call(end);
}

void LogDirectory::Forget(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  for (auto& [ref, log] : logs_) {
    if (ref.tenant != tenant) continue;
    DropOldest(*log, log->tail_size());
    log->bounds.reset();
  }
}

void LogDirectory::Apply(Log& log, LogChange& change) {
  const uint64_t tail_first = change.bounds.end - change.appended.size() - log.tail_size();
  log.bounds = change.bounds;
  for (Payload& payload : change.appended) {
    bytes_ += Cost(payload);
    log.tail.push_back(std::move(payload));
  }
  if (!change.appended.empty()) {
    if (log.listed) order_.erase(log.place);
    log.place = order_.insert(order_.end(), &log);
    log.listed = true;
  }
  if (change.bounds.first > tail_first) {
    DropOldest(log, std::min<size_t>(log.tail_size(), change.bounds.first - tail_first));
  }
}

void LogDirectory::DropOldest(Log& log, size_t count) {
  for (; count > 0; --count) {
    bytes_ -= Cost(log.tail[log.head]);
    log.tail[log.head++].reset();
  }
  if (log.tail_size() == 0) {
    log.tail = {};  // also gives the memory back: most logs of many are idle
    log.head = 0;
    if (log.listed) order_.erase(log.place);
    log.listed = false;
  } else if (log.head > log.tail_size()) {
    log.tail.erase(log.tail.begin(), log.tail.begin() + static_cast<std::ptrdiff_t>(log.head));
    log.head = 0;
  }
}

void LogDirectory::ForgetIdleLogs() {
  absl::erase_if(logs_,
                 [](const auto& item) { return !item.second->listed && item.second->watchers.empty(); });
  forget_at_ = std::max<size_t>(1 << 16, 2 * logs_.size());
}

std::optional<Bounds> LogDirectory::GetBounds(LogRef log) const {
  absl::MutexLock lock(&mutex_);
  const auto it = logs_.find(log);
  return it == logs_.end() ? std::nullopt : it->second->bounds;
}

LogDirectory::TailRead LogDirectory::ReadTail(LogRef ref, uint64_t from, size_t max_bytes) const {
  TailRead out;
  absl::MutexLock lock(&mutex_);
  const auto it = logs_.find(ref);
  if (it == logs_.end() || !it->second->bounds) return out;
  const Log& log = *it->second;
  out.bounds = log.bounds;
  const uint64_t tail_first = log.bounds->end - log.tail_size();
  if (from < tail_first || from >= log.bounds->end) return out;
  out.hit = true;
  size_t bytes = 0;
  for (size_t i = log.head + static_cast<size_t>(from - tail_first); i < log.tail.size(); ++i) {
    bytes += log.tail[i]->size();
    if (bytes > max_bytes && !out.entries.empty()) break;
    out.entries.push_back({from + out.entries.size(), log.tail[i]});
  }
  return out;
}

std::unique_ptr<Watcher> LogDirectory::Watch(LogRef ref, std::function<void(uint64_t end)> on_commit) {
  auto state = std::make_shared<WatchState>(ref, std::move(on_commit));
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<Log>& slot = logs_[ref];
  if (slot == nullptr) {
    slot = std::make_unique<Log>();
    slot->ref = ref;
  }
  slot->watchers.push_back(state);
  return std::make_unique<WatcherImpl>(*this, std::move(state));
}

void LogDirectory::Unwatch(const std::shared_ptr<WatchState>& state) {
  absl::MutexLock lock(&mutex_);
  const auto it = logs_.find(state->log);
  if (it != logs_.end()) std::erase(it->second->watchers, state);
}

size_t LogDirectory::tail_bytes() const {
  absl::MutexLock lock(&mutex_);
  return bytes_;
}

size_t LogDirectory::known_logs() const {
  absl::MutexLock lock(&mutex_);
  return logs_.size();
}

}  // namespace keystead::storage
