#include "backend/piecewise_trim.h"

#include <algorithm>

#include "core/base/status.h"

namespace keystead::backend {
namespace {

constexpr uint64_t kCostOfLog = 64;
// A log has a checkpoint at least every 64 groups: with so much room there is one to trim to, if it is due.
constexpr uint64_t kLeastRoom = 128;

}  // namespace

absl::Status PiecewiseTrim::CutSome(storage::Transaction& transaction, const Line& line, Piece& piece,
                                    RecordLogChanges& changes) {
  uint64_t cost = 0;
  while (piece.next < line.logs.size() && cost < groups_at_a_time_) {
    const storage::LogRef log = line.logs[piece.next];
    KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, transaction.GetBounds(log));
    KS_ASSIGN_OR_RETURN(const uint64_t had, parts_.log->BytesOf(transaction, log, changes));
    const uint64_t room = std::max(groups_at_a_time_ - cost, kLeastRoom);
    KS_ASSIGN_OR_RETURN(
        const uint64_t kept,
        parts_.log->Trim(transaction, log, {.max_age = line.max_age, .not_beyond = bounds.first + room},
                         changes));
    KS_ASSIGN_OR_RETURN(const uint64_t has, parts_.log->BytesOf(transaction, log, changes));
    const uint64_t groups = kept - bounds.first;
    piece.change.groups -= static_cast<int64_t>(groups);
    piece.change.bytes -= static_cast<int64_t>(had - has);
    cost += std::max(groups, kCostOfLog);
    if (groups == 0) ++piece.next;  // else there may be more
  }
  return absl::OkStatus();
}

absl::Status PiecewiseTrim::RemoveOld(const TenantView& tenant, const std::vector<storage::LogRef>& logs,
                                      absl::Duration max_age) {
  const Line line{logs, max_age};
  size_t next = 0;
  while (next < logs.size()) {
    Piece piece;
    RecordLogChanges changes;
    const auto prepare = [&](storage::Transaction& transaction) -> absl::Status {
      piece = {.next = next, .change = {}};
      absl::Status status = CutSome(transaction, line, piece, changes);
      if (status.ok() && piece.change.groups != 0) status = tenant.account().Add(transaction, piece.change);
      if (!status.ok()) parts_.log->Finish(changes, status);
      return status;
    };
    KS_RETURN_IF_ERROR(storage::RunTask(*parts_.store, prepare, [&](const absl::Status& status) {
      parts_.log->Finish(changes, status);
      tenant.account().Settle(status, piece.change);
    }));
    next = piece.next;
  }
  return absl::OkStatus();
}

}  // namespace keystead::backend
