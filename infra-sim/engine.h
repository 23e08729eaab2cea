// The hostile mind of the process: which attacks are armed, what has been seen, what was done. All hops of
// the process share one, and each asks it about every group that passes.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/observe/metrics.h"
#include "infra-sim/attacks.h"
#include "infra-sim/canary.h"
#include "infra-sim/group_memory.h"
#include "infra-sim/tls_attacks.h"
#include "infra-sim/tls_notebook.h"
#include "keystead/v1/infra.pb.h"

namespace keystead::infra {

enum class Direction { kUp, kDown };  // Publish and what else a client sends; Subscribe and what else it gets
std::string_view DirectionName(Direction direction);  // "up", "down"

struct EngineOptions {
  std::vector<std::string> canaries;  // planted texts to look for in all that passes
  MemoryLimits memory;
  size_t max_injections = 1 << 16;  // the oldest are forgotten
  size_t max_attacks = 1024;        // armed at one time
  const Clock* clock = &Clock::System();
};

// Thread-safe. Nothing here waits or does I/O but log lines.
class AttackEngine {
 public:
  // What to do with one group. Injections of a piece are serial numbers, for NoteRefusal.
  struct Decision {
    struct Out {
      std::string group;
      std::vector<uint64_t> injections;
      bool extra = false;
    };
    std::vector<Out> pieces;
    bool withhold_ack = false;
    bool hold_back = false;         // send the pieces after the next group, at the latest after `patience`
    absl::Duration patience;        // of hold_back
    absl::Duration delay;           // this group and what follows it
    absl::Duration end_call_after;  // zero: leave the call up
  };
  struct TlsDecision : TlsMutation {
    uint64_t serial = 0;  // of the injection, for NoteEnd
  };

  explicit AttackEngine(EngineOptions options);

  absl::StatusOr<uint64_t> Arm(const v1::ArmRequest& request);  // INVALID_ARGUMENT; RESOURCE_EXHAUSTED
  void Disarm(uint64_t attack);                                 // 0: all; an unknown number is no error
  std::vector<v1::ArmedAttack> ArmedNow() const;                // oldest first
  v1::InjectionsResponse Injections(uint64_t attack) const;
  v1::SeenResponse Seen(uint32_t last) const;  // as much as fits into one message of limits::kMaxMessageBytes

  // What passed of late, oldest first, and what was sent on instead. Copies no bytes.
  std::vector<Passing> Passings() const;
  std::vector<TlsPassing> TlsPassings() const;

  bool armed() const { return armed_.load(std::memory_order_relaxed); }
  // Counts, remembers and searches a genuine group. Call it for each before Decide.
  void Observe(std::string_view listener, Direction direction, std::string_view group);
  // Nothing: pass the group on as it is.
  std::optional<Decision> Decide(std::string_view listener, Direction direction, std::string_view group);
  // A relay's TLS record, `number` counted per connection and direction from 0.
  std::optional<TlsDecision> DecideTls(std::string_view listener, Direction direction, uint64_t number,
                                       std::string_view record);
  // Those of a connection that has ended.
  void NoteEnd(std::span<const uint64_t> injections);
  void NoteRefusal(std::span<const uint64_t> injections, int32_t code, std::string_view reason);

 private:
  v1::Injection* Find(uint64_t injection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);  // null: forgotten
  struct Armed {
    v1::ArmRequest request;
    uint64_t left = 0;  // records; UINT64_MAX: until disarmed
    SeededRandom random;
  };
  bool Listens(const Armed& attack, std::string_view listener, Direction direction) const;
  uint64_t Log(uint64_t number, std::string_view listener, Direction direction, v1::Injection injection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Spend(std::map<uint64_t, Armed>::iterator attack, uint64_t records)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Search(std::string_view bytes, std::string_view header) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string Reading(std::string_view bytes) const;  // detail of ATTACK_READ
  void CollectMetrics(MetricWriter& out) const;

  const EngineOptions options_;
  const CanarySearch canaries_;
  std::atomic<bool> armed_ = false;
  mutable absl::Mutex mutex_;
  std::map<uint64_t, Armed> attacks_ ABSL_GUARDED_BY(mutex_);  // by number
  uint64_t last_attack_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<v1::Injection> injections_ ABSL_GUARDED_BY(mutex_);
  uint64_t first_injection_ ABSL_GUARDED_BY(mutex_) = 0;  // serial of injections_.front()
  GroupMemory memory_ ABSL_GUARDED_BY(mutex_);
  TlsMemory tls_memory_ ABSL_GUARDED_BY(mutex_);
  TlsNotebook tls_notebook_ ABSL_GUARDED_BY(mutex_);
  uint64_t records_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t cose_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<size_t, std::string>, v1::Sighting> sightings_ ABSL_GUARDED_BY(mutex_);
  std::map<v1::AttackKind, uint64_t> injected_ ABSL_GUARDED_BY(mutex_);
  uint64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
  const MetricSource metrics_{[this](MetricWriter& out) { CollectMetrics(out); }};
};

}  // namespace keystead::infra
