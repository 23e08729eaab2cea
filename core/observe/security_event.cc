#include "core/observe/security_event.h"

#include <set>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/base/mutants.h"
#include "core/observe/event_limiter.h"
#include "core/observe/log.h"

namespace keystead {
namespace {

struct Ledger {
  absl::Mutex mutex;
  std::map<std::string, uint64_t> counts ABSL_GUARDED_BY(mutex);
  std::function<void(const SecurityEvent&)> observer ABSL_GUARDED_BY(mutex);
  EventLimiter limiter ABSL_GUARDED_BY(mutex) = EventLimiter(EventLimiter::Options());
  absl::Mutex taps_mutex;  // held for reading while they are called
  std::set<const std::function<void(const SecurityEvent&)>*> taps ABSL_GUARDED_BY(taps_mutex);
};

Ledger& TheLedger() {
  static Ledger* const ledger = new Ledger;
  return *ledger;
}

}  // namespace

std::string_view SecurityEventName(SecurityEventKind kind) {
  switch (kind) {
    case SecurityEventKind::kHandshakeFailed:
      return "handshake_failed";
    case SecurityEventKind::kPeerRefused:
      return "peer_refused";
    case SecurityEventKind::kIssuerMismatch:
      return "issuer_mismatch";
    case SecurityEventKind::kNotPermitted:
      return "not_permitted";
    case SecurityEventKind::kMalformed:
      return "malformed";
    case SecurityEventKind::kOpenFailed:
      return "open_failed";
    case SecurityEventKind::kSignatureInvalid:
      return "signature_invalid";
    case SecurityEventKind::kReplay:
      return "replay";
    case SecurityEventKind::kConflict:
      return "conflict";
    case SecurityEventKind::kMissing:
      return "missing";
    case SecurityEventKind::kLossReported:
      return "loss_reported";
    case SecurityEventKind::kStale:
      return "stale";
    case SecurityEventKind::kTailUnknown:
      return "tail_unknown";
    case SecurityEventKind::kClonedOrRolledBack:
      return "cloned_or_rolled_back";
    case SecurityEventKind::kProviderRolledBack:
      return "provider_rolled_back";
    case SecurityEventKind::kHashChainBroken:
      return "hash_chain_broken";
    case SecurityEventKind::kFork:
      return "fork";
    case SecurityEventKind::kCommitRefused:
      return "commit_refused";
    case SecurityEventKind::kCommandRefused:
      return "command_refused";
    case SecurityEventKind::kJoinRefused:
      return "join_refused";
    case SecurityEventKind::kLimitExceeded:
      return "limit_exceeded";
  }
  return "malformed";
}

void Report(const SecurityEvent& event) {
  if (event.kind == SecurityEventKind::kNotPermitted && MutantActive(Mutant::kEventDropped)) return;
  const std::string_view name = SecurityEventName(event.kind);
  EventLimiter::Decision line;
  std::function<void(const SecurityEvent&)> observer;
  {
    Ledger& ledger = TheLedger();
    absl::MutexLock lock(&ledger.mutex);
    ledger.counts[std::string(name)] += event.count;
    observer = ledger.observer;
    // Where there is no peer, whose records they are tells events apart as well as can be.
    line = ledger.limiter.Ask(event.kind, event.peer.empty() ? event.sender : event.peer, event.count,
                              Clock::System().Uptime());
  }
  if (line.suppressed > 0)
    Log(LogLevel::kWarning, "security_suppressed", {{"kind", name}, {"events", line.suppressed}});
  if (line.write) {
    Log(LogLevel::kWarning, "security",
        {{"kind", name},
         {"tenant", event.tenant},
         {"instantiation", event.instantiation},
         {"topic", event.topic},
         {"sender", event.sender},
         {"stream", event.stream},
         {"epoch", event.epoch},
         {"sequence", event.sequence},
         {"peer", event.peer},
         {"detail", event.detail},
         {"count", event.count}});
  }
  if (observer) observer(event);
  absl::ReaderMutexLock lock(&TheLedger().taps_mutex);
  for (const auto* const tap : TheLedger().taps) (*tap)(event);
}

SecurityEventTap::SecurityEventTap(std::function<void(const SecurityEvent&)> observer)
    : observer_(std::move(observer)) {
  absl::MutexLock lock(&TheLedger().taps_mutex);
  TheLedger().taps.insert(&observer_);
}

SecurityEventTap::~SecurityEventTap() {
  absl::MutexLock lock(&TheLedger().taps_mutex);
  TheLedger().taps.erase(&observer_);
}

std::map<std::string, uint64_t> SecurityEventCounts() {
  absl::MutexLock lock(&TheLedger().mutex);
  return TheLedger().counts;
}

void SetSecurityEventObserver(std::function<void(const SecurityEvent&)> observer) {
  absl::MutexLock lock(&TheLedger().mutex);
  TheLedger().observer = std::move(observer);
}

}  // namespace keystead
