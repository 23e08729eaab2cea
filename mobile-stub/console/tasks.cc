#include "mobile-stub/console/tasks.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/observe/log.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr size_t kMaxSteps = 64;  // of a task: a device that keeps refusing makes many

// What the owner can do next, as the API says it.
const char* Meaning(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) return "unknown";
  return absl::IsUnavailable(status) ? "not_confirmed" : "failed";
}

}  // namespace

Tasks::~Tasks() { Finish(absl::InfiniteDuration()); }

// Threads that have done their work, and nothing more: joining them takes no time.
void Tasks::Reap() {
  for (auto at = running_.begin(); at != running_.end();) {
    if (!at->second.done) {
      ++at;
      continue;
    }
    at->second.thread.join();
    at = running_.erase(at);
  }
}

absl::StatusOr<std::string> Tasks::Start(Kind kind, json facts, Work work) {
  absl::MutexLock lock(&mutex_);
  if (finishing_) return absl::UnavailableError("the console is ending");
  Reap();
  const auto same = static_cast<size_t>(
      std::ranges::count_if(running_, [&](const auto& one) { return one.second.kind == kind; }));
  if (kind == Kind::kMembership && same > 0) {
    return absl::AbortedError("another change of who belongs is under way: wait until it has ended");
  }
  if (same >= kMaxCommands)
    return absl::UnavailableError("too many commands wait for their answers: try again");
  const std::string id = absl::StrCat("task-", next_++);
  facts["id"] = id;
  facts["state"] = "running";
  facts["started_us"] = absl::ToUnixMicros(clock_.Now());
  facts["steps"] = json::array();
  Running& running = running_[id];
  running.kind = kind;
  running.task = std::move(facts);
  model_.SetTask(id, running.task);
  running.thread = std::thread([this, id, work = std::move(work)] { Run(id, work); });
  return id;
}

void Tasks::Run(const std::string& id, const Work& work) {
  End(id, work([this, &id](const mobile::Progress& progress) { Step(id, progress); }));
}

void Tasks::Step(const std::string& id, const mobile::Progress& progress) {
  absl::MutexLock lock(&mutex_);
  json& task = running_.at(id).task;
  if (task["steps"].size() >= kMaxSteps) return;
  task["steps"].push_back({{"step", progress.event},
                           {"device", progress.who},
                           {"detail", progress.detail},
                           {"at_us", absl::ToUnixMicros(clock_.Now())}});
  model_.SetTask(id, task);
}

void Tasks::End(const std::string& id, const absl::StatusOr<json>& outcome) {
  absl::MutexLock lock(&mutex_);
  Running& running = running_.at(id);
  json& task = running.task;
  task["state"] = outcome.ok() ? "done" : Meaning(outcome.status());
  task["ended_us"] = absl::ToUnixMicros(clock_.Now());
  if (outcome.ok()) {
    task["outcome"] = *outcome;
  } else {
    task["message"] = Std(outcome.status().message());
    Log(LogLevel::kWarning, "task_failed",
        {{"task", task.value("kind", "")}, {"reason", Std(outcome.status().message())}});
  }
  model_.SetTask(id, task);
  running.done = true;
}

bool Tasks::Finish(absl::Duration patience) {
  absl::MutexLock lock(&mutex_);
  finishing_ = true;
  const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::ranges::all_of(running_, [](const auto& one) { return one.second.done; });
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&over), patience)) return false;
  Reap();
  return true;
}

}  // namespace keystead::console
