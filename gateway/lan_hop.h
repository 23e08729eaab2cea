// What the gateway lets in from its LAN: who the roster says, as much as the queue has room for, and nothing
// before it belongs to an instantiation.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/transport/hop.h"
#include "core/transport/roster_gate.h"
#include "core/transport/transport_service.h"
#include "gateway/forwarder.h"

namespace keystead::gateway {

class LanHop final : public Hop {
 public:
  struct Options {
    storage::LogStore* store = nullptr;
    const PrincipalResolver* resolver = nullptr;
    Forwarder* forwarder = nullptr;
    std::string self;                  // its own transport identity, as the roster names it
    std::function<void()> on_keyring;  // THREAD: writer. It has grown
    // THREAD: writer, inside Prepare.
    std::function<void(const GroupHeader&, storage::LogRef, size_t bytes)> on_stored;
    std::function<void()> on_behind;  // THREAD: writer. A sender is in an epoch that is not known here
    std::function<void()> on_roster;  // THREAD: writer. Another roster counts from here on
    const Clock* clock = &Clock::System();
  };
  struct Stats {
    uint64_t refused = 0;      // groups, by the roster
    uint64_t pushed_back = 0;  // calls ended because the queue was full
    bool belongs = false;
    uint64_t epoch = 0;  // of the roster that counts here
  };
  explicit LanHop(const Options& options) : options_(options) {}

  // Before the server starts. Calls that a new roster does not allow are ended through it.
  void SetService(TransportService* service) { service_ = service; }
  // Takes its place in the single writer's order; null: the gateway belongs nowhere (any more).
  void SetChain(std::shared_ptr<const MembershipChain> chain);
  // About ten times a second: ends the calls of members whose term is over.
  void Tick();
  Stats GetStats() const;
  // Whether this peer may follow the keyring of this instantiation here; answers once, on the writer's
  // thread, or at once when it is too busy. UNAVAILABLE while the gateway belongs nowhere.
  void AskMayFollow(std::shared_ptr<const Principal> peer, const InstantiationId& id,
                    const std::function<void(const absl::Status&)>& answer);

  absl::StatusOr<std::shared_ptr<const Principal>> Authenticate(
      const grpc::ServerContextBase& context) override;
  absl::Status CheckStillValid(const Principal& principal) override;
  absl::Status Submit(const Principal& principal, std::unique_ptr<storage::Task> task,
                      const TaskLoad& load) override;
  absl::StatusOr<uint32_t> Admit(storage::Transaction& transaction, const Principal& principal,
                                 const GroupView& group) override;
  absl::Status Stored(storage::Transaction& transaction, const Principal& principal,
                      std::span<const StoredGroup> groups) override;
  absl::StatusOr<uint32_t> AdmitSubscribe(storage::Transaction& transaction, const Principal& principal,
                                          const SubscribeDemand& demand) override;
  void Committed(const Principal& principal, std::span<const StoredGroup> groups,
                 const absl::Status& status) override;

 private:
  // THREAD: writer.
  absl::Status Enter(storage::Transaction& transaction, const std::shared_ptr<const MembershipChain>& chain);
  absl::Status NoteEndedEpochs(storage::Transaction& transaction, const MembershipChain& chain,
                               uint64_t after);
  absl::Status CheckServing() const;
  void EndForbiddenCalls();

  const Options options_;
  TransportService* service_ = nullptr;
  std::unique_ptr<RosterGate> gate_;            // THREAD: writer
  absl::Time own_term_ = absl::InfinitePast();  // THREAD: writer. The next hop takes nothing from then on
  uint64_t admitted_bytes_ = 0;                 // THREAD: writer. Since the last Stored, of the open task
  absl::Mutex mutex_;
  // A head that the store's full queue did not take; entered by a later Tick.
  std::optional<std::shared_ptr<const MembershipChain>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> belongs_{false};
  std::atomic<uint64_t> epoch_{0};
  std::atomic<int64_t> next_expiry_{INT64_MAX};  // seconds since 1970
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> pushed_back_{0};
};

}  // namespace keystead::gateway
