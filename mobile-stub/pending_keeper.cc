#include "mobile-stub/pending_keeper.h"

#include <utility>

#include "core/observe/log.h"
#include "mobile-stub/settlement.h"

namespace keystead::mobile {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(3);

}  // namespace

PendingKeeper::PendingKeeper(const Engine* engine, absl::Duration interval)
    : engine_(*engine), interval_(interval), thread_([this] { Run(); }) {}

PendingKeeper::~PendingKeeper() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void PendingKeeper::Run() {
  while (true) {
    TryOnce();
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) return;
  }
}

void PendingKeeper::TryOnce() {
  const auto pending = engine_.state().LoadPending();
  if (!pending.ok() || pending->empty()) return;
  const Digest newest = pending->back().bundle.CommitHash();
  if (std::exchange(seen_, newest) != newest) return;
  const auto changes = engine_.state().LockChanges(absl::ZeroDuration());
  if (!changes.ok()) return;  // a verb is at it
  const absl::StatusOr<Settled> settled = Settle(engine_, kPatience);
  if (!settled.ok()) {
    Log(LogLevel::kInfo, "change_not_confirmed", {{"reason", Std(settled.status().message())}});
  } else if (*settled == Settled::kEntered) {
    Log(LogLevel::kInfo, "change_confirmed", {});
  }
}

}  // namespace keystead::mobile
