// Security events: what a process noticed that an honest network would not do. Written as log lines with
// event "security" and counted, so that a demonstration can compare what was injected with what was noticed,
// record by record. Later work extends the list; names are stable, they stand in alarms and documents.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace keystead {

enum class SecurityEventKind {
  kHandshakeFailed,  // TLS did not come to its end; of the caller nothing is known but its address
  kPeerRefused,  // a certificate that TLS accepts and that counts for nobody here; a server that is not who
                 // was meant
  kIssuerMismatch,      // a certificate names a tenant whose registered CA did not issue it
  kNotPermitted,        // authenticated, but policy or roster says no
  kMalformed,           // bytes that break the format
  kOpenFailed,          // a record does not open: changed, moved to another place, or under another key
  kSignatureInvalid,    // opens, but the sender did not sign it
  kReplay,              // seen before, and would have acted again
  kConflict,            // two different records at one sequence
  kMissing,             // a gap that did not close in time
  kLossReported,        // the sender itself says records were lost
  kStale,               // nothing fresh from a sender within its limit
  kTailUnknown,         // a sender cannot say where its last stream ended
  kClonedOrRolledBack,  // two openings with one predecessor
  kProviderRolledBack,  // the hop serves less than was seen before
  kHashChainBroken,     // a signed checkpoint disagrees with the records read
  kFork,                // two commits with one parent
  kCommitRefused,       // a membership commit that is not the valid successor
  kCommandRefused,      // a command its target did not obey
  kJoinRefused,         // an announcement, M1 or M2 that does not verify, or a try on an owned device
  kLimitExceeded,       // a peer asked for more than the limit
};

inline constexpr SecurityEventKind kLastSecurityEventKind = SecurityEventKind::kLimitExceeded;

std::string_view SecurityEventName(SecurityEventKind kind);  // "open_failed", …

// Where it happened, as far as known. Public values only.
struct SecurityEvent {
  SecurityEventKind kind = SecurityEventKind::kMalformed;
  std::string tenant;
  std::string instantiation;  // hex
  std::string topic;
  std::string sender;  // hex
  std::string stream;  // hex
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  std::string peer;    // SPIFFE id or network address
  std::string detail;  // a fixed sentence plus public numbers
  uint64_t count = 1;  // of what it stands for, where one event tells of several
};

// Logs the event at level warning, counts it, and hands it to the observer if one is set. Counts and observer
// miss nothing; of log lines, a kind and peer get a thousand at once and twenty a second (event_limiter.h),
// and a line "security_suppressed" tells how many events of a kind have none. Thread-safe.
void Report(const SecurityEvent& event);

// How often each kind was reported since start. Thread-safe.
std::map<std::string, uint64_t> SecurityEventCounts();

// At most one observer; called on the reporting thread and must not block. Null to remove; a report already
// under way on another thread may still call the one it found.
void SetSecurityEventObserver(std::function<void(const SecurityEvent&)> observer);

// A further observer, as long as it is alive: once the destructor has returned it is not called any more. It
// must not block, Report, or make or destroy another.
class SecurityEventTap {
 public:
  explicit SecurityEventTap(std::function<void(const SecurityEvent&)> observer);
  ~SecurityEventTap();
  SecurityEventTap(const SecurityEventTap&) = delete;
  SecurityEventTap& operator=(const SecurityEventTap&) = delete;

 private:
  const std::function<void(const SecurityEvent&)> observer_;
};

}  // namespace keystead
