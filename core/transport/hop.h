// What gateway and backend each decide about the Transport service that they share.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/identity/principal.h"
#include "core/storage/log_store.h"
#include "core/transport/group_view.h"
#include "core/transport/grpc_names.h"
#include "core/transport/record_log.h"

namespace keystead {

// One group of a task that Admit let in and RecordLog has looked at.
struct StoredGroup {
  std::shared_ptr<const GroupHeader> header;
  AppendOutcome outcome;  // outcome.stored is null for a duplicate
};

struct SubscribeDemand {
  TenantName tenant;
  InstantiationId instantiation;
  std::vector<Topic> topics;  // each once
};

// What a task brings, for rates.
struct TaskLoad {
  uint64_t records = 0;
  uint64_t bytes = 0;  // of groups
};

class Hop {
 public:
  virtual ~Hop() = default;

  // THREAD: gRPC's. Must not block. ------------------------------------------------------------------------

  // Who calls; usually PrincipalOf(context, resolver). The status ends the call.
  virtual absl::StatusOr<std::shared_ptr<const Principal>> Authenticate(
      const grpc::ServerContextBase& context) = 0;
  // A call begins; of a Subscribe with what it asks for. The status ends the call. What is returned is held
  // until the call is over: the place for counting what is open.
  using Place = std::shared_ptr<const void>;
  virtual absl::StatusOr<Place> TakePlace(const Principal& principal, const SubscribeDemand* demand) {
    static_cast<void>(principal), static_cast<void>(demand);
    return Place();
  }
  // Before every request of an open Publish and every message of an open Subscribe; usually
  // PrincipalResolver::CheckStillValid. The status ends the call.
  virtual absl::Status CheckStillValid(const Principal& principal) = 0;
  // Takes a task towards the writer: the place for rates and fair queues. RESOURCE_EXHAUSTED and UNAVAILABLE
  // end the call, and the peer comes back later. A task that was taken must reach the store or be destroyed;
  // tasks of one principal stay in order. LimitReached (limit_status.h) tells the peer when.
  virtual absl::Status Submit(const Principal& principal, std::unique_ptr<storage::Task> task,
                              const TaskLoad& load) = 0;
  // THREAD: the executor's. A message of entries is on its way to a subscriber.
  virtual void Sent(const Principal& principal, uint64_t groups, uint64_t bytes) {
    static_cast<void>(principal), static_cast<void>(groups), static_cast<void>(bytes);
  }

  // THREAD: the store's writer, inside Prepare: sees the roster in the single writer's order.
  // ----------------

  // Whether this peer may publish this group; the number of its tenant in the store. Called for every group:
  // remember what was decided. RESOURCE_EXHAUSTED and UNAVAILABLE end the call (the peer sends the whole
  // request again later, in order; what came before the group in it stays stored); every other status refuses
  // this group and is told to the publisher.
  virtual absl::StatusOr<uint32_t> Admit(storage::Transaction& transaction, const Principal& principal,
                                         const GroupView& group) = 0;
  // Whose slots for variants a peer's records take, and how many it has at one place. A hop whose peers carry
  // for many must give them more than those may fill further down. Asked once per call.
  virtual RecordSource SourceOf(const Principal& principal) const {
    return RecordSource::Of(principal.uri());
  }
  // After the groups of one task went into the open batch. A status other than OK fails the task and ends the
  // call.
  virtual absl::Status Stored(storage::Transaction& transaction, const Principal& principal,
                              std::span<const StoredGroup> groups) {
    static_cast<void>(transaction), static_cast<void>(principal), static_cast<void>(groups);
    return absl::OkStatus();
  }
  // Whether this peer may read all these topics; the number of its tenant in the store.
  virtual absl::StatusOr<uint32_t> AdmitSubscribe(storage::Transaction& transaction,
                                                  const Principal& principal,
                                                  const SubscribeDemand& demand) = 0;

  // THREAD: the store's writer, inside Done. ---------------------------------------------------------------

  // Once for every task whose Stored() returned OK: what Stored() noted in memory counts or does not.
  virtual void Committed(const Principal& principal, std::span<const StoredGroup> groups,
                         const absl::Status& status) {
    static_cast<void>(principal), static_cast<void>(groups), static_cast<void>(status);
  }
};

}  // namespace keystead
