// Removes old records of a tenant in writer tasks of bounded size, one after the other, so that what others
// bring is committed between them.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "backend/rows.h"
#include "backend/tenant_view.h"
#include "core/storage/log_store.h"
#include "core/transport/record_log.h"

namespace keystead::backend {

// Thread-compatible.
class PiecewiseTrim {
 public:
  struct Parts {  // nothing is owned
    storage::LogStore* store = nullptr;
    RecordLog* log = nullptr;
  };
  // Of one task, but for less than two checkpoints of a log; to look at a log counts as 64.
  static constexpr uint64_t kGroupsAtATime = 4096;

  explicit PiecewiseTrim(const Parts& parts, uint64_t groups_at_a_time = kGroupsAtATime)
      : parts_(parts), groups_at_a_time_(groups_at_a_time) {}

  // Groups of the tenant's logs that are older, in steps of a checkpoint of each. Waits for the writer: not
  // on its thread. What an error cuts short stays removed as far as it went, and the tenant's account says
  // so.
  absl::Status RemoveOld(const TenantView& tenant, const std::vector<storage::LogRef>& logs,
                         absl::Duration max_age);

 private:
  struct Line {
    const std::vector<storage::LogRef>& logs;
    absl::Duration max_age;
  };
  struct Piece {
    size_t next = 0;  // of the logs, the first that is not done with
    StoredChange change;
  };
  absl::Status CutSome(storage::Transaction& transaction, const Line& line, Piece& piece,
                       RecordLogChanges& changes);

  const Parts parts_;
  const uint64_t groups_at_a_time_;
};

}  // namespace keystead::backend
