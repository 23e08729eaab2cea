#include "gateway/keeper.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/transport/record_log.h"
#include "gateway/commit_book.h"
#include "gateway/forwarder.h"
#include "gateway/rows.h"

namespace keystead::gateway {

namespace {

constexpr uint64_t kNoticesKept = 256;

}  // namespace

// Trims one log, or writes one keyring anew.
class Keeper::TrimTask final : public storage::Task {
 public:
  TrimTask(Keeper* owner, Due due) : owner_(owner), due_(due) {}
  ~TrimTask() override {
    if (!done_) owner_->LookAgain(due_);
  }

  absl::Status Prepare(storage::Transaction& transaction) override {
    absl::Status status = due_.keyring_of.has_value() ? RewriteKeyring(transaction) : Trim(transaction);
    if (!status.ok()) owner_->log_->Finish(changes_, status);
    return status;
  }
  void Done(const absl::Status& status) override {
    done_ = status.ok();
    if (done_ && !written_.empty()) ++owner_->rewritten_;
    owner_->log_->Finish(changes_, status);
    for (const uint64_t offset : written_) owner_->forwarder_->Committed(due_.log, offset, status);
  }
  size_t bytes() const override { return sizeof(*this); }
  storage::Durability durability() const override { return storage::Durability::kBuffered; }

 private:
  void WaitAbove(uint64_t cursor) {
    absl::MutexLock lock(&owner_->mutex_);
    owner_->growth_[due_.log].waits_above = cursor + 1;
  }

  absl::Status Trim(storage::Transaction& transaction) {
    const uint64_t cursor = owner_->forwarder_->CursorOf(due_.log);
    Retention retention;
    retention.max_bytes = owner_->history_bytes_;
    retention.not_beyond = cursor;
    KS_RETURN_IF_ERROR(owner_->log_->Trim(transaction, due_.log, retention, changes_).status());
    KS_ASSIGN_OR_RETURN(const uint64_t left, owner_->log_->BytesOf(transaction, due_.log, changes_));
    if (left > owner_->history_bytes_ && cursor != UINT64_MAX) WaitAbove(cursor);
    return absl::OkStatus();
  }

  absl::Status RewriteKeyring(storage::Transaction& transaction) {
    KS_ASSIGN_OR_RETURN(const uint64_t left, owner_->log_->BytesOf(transaction, due_.log, changes_));
    if (left <= owner_->history_bytes_) return absl::OkStatus();
    KS_ASSIGN_OR_RETURN(const storage::Bounds committed, owner_->store_->GetBounds(due_.log));
    const uint64_t end = std::min(owner_->forwarder_->CursorOf(due_.log), committed.end);
    // Not worth it while most of the log waits for the next hop, also of what this batch has just added.
    KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, transaction.GetBounds(due_.log));
    if (end - std::min(end, committed.first) < bounds.end - end) {
      WaitAbove(committed.first + (committed.end - committed.first) / 2);
      return absl::OkStatus();
    }
    KS_ASSIGN_OR_RETURN(std::vector<CommitRow> commits, CommitsOf(transaction, *due_.keyring_of));
    uint64_t commit_bytes = 0;
    for (const CommitRow& commit : commits) commit_bytes += commit.group.size();
    // As many bytes of notices as would be written again of commits, at least.
    if (left < commit_bytes + std::max(owner_->history_bytes_, commit_bytes)) return absl::OkStatus();
    // Commits stay in one piece and in their order: none may be left behind among what is not forwarded yet.
    if (!commits.empty() && end <= commits.back().offset) {
      WaitAbove(commits.back().offset);
      return absl::OkStatus();
    }
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Entry> notices, NewestNotices(committed.first, end));
    KS_RETURN_IF_ERROR(owner_->log_->TrimTo(transaction, due_.log, end, changes_));
    size_t commits_written = 0;
    for (CommitRow& commit : commits) {
      KS_ASSIGN_OR_RETURN(const GroupHeader header,
                          WriteAgain(transaction, std::make_shared<std::string>(commit.group)));
      if (written_.size() != ++commits_written)
        return absl::InternalError("a commit stands where it should not");
      commit.offset = written_.back();
      transaction.Put(kTenantNumber, kCommitTable, CommitKey(header.instantiation, header.epoch),
                      EncodeCommit(commit));
    }
    for (const storage::Entry& notice : notices)
      KS_RETURN_IF_ERROR(WriteAgain(transaction, notice.bytes).status());
    Log(LogLevel::kInfo, "keyring_rewritten",
        {{"commits", commits.size()}, {"notices", notices.size()}, {"discarded_below", end}});
    return absl::OkStatus();
  }

  // Of the entries before `end`: few, and not many bytes, whatever a member has filled the log with.
  absl::StatusOr<std::vector<storage::Entry>> NewestNotices(uint64_t first, uint64_t end) const {
    std::vector<storage::Entry> out;
    for (uint64_t count = kNoticesKept; count > 0; count /= 4) {
      const uint64_t from = end - std::min(end - first, count);
      if (from == end) break;
      KS_ASSIGN_OR_RETURN(out, owner_->store_->Read(due_.log, from, owner_->history_bytes_ / 4));
      if (out.back().offset + 1 >= end) break;
      out.clear();
    }
    std::erase_if(out, [&](const storage::Entry& entry) {
      GroupHeaderCache headers;
      const absl::StatusOr<GroupView> group = GroupView::Parse(*entry.bytes, headers);
      return entry.offset >= end || !group.ok() || group->header().stream == StreamId();
    });
    return out;
  }

  absl::StatusOr<GroupHeader> WriteAgain(storage::Transaction& transaction, const Payload& bytes) {
    GroupHeaderCache headers;
    KS_ASSIGN_OR_RETURN(const GroupView view, GroupView::Parse(*bytes, headers));
    KS_ASSIGN_OR_RETURN(const AppendOutcome outcome,
                        owner_->log_->Append(transaction, kTenantNumber, view, bytes, changes_));
    if (!outcome.offset.has_value()) return view.header();  // it stands behind what is discarded
    owner_->forwarder_->Brought(transaction, due_.log, *outcome.offset);  // the next hop has it
    written_.push_back(*outcome.offset);
    return view.header();
  }

  Keeper* const owner_;
  const Due due_;
  RecordLogChanges changes_;
  std::vector<uint64_t> written_;
  bool done_ = false;
};

Keeper::Keeper(storage::LogStore* store, RecordLog* log, Forwarder* forwarder, uint64_t history_bytes)
    : store_(store),
      log_(log),
      forwarder_(forwarder),
      history_bytes_(history_bytes),
      step_(std::clamp<uint64_t>(history_bytes / 16, 4 << 10, 4 << 20)) {}

absl::Status Keeper::Restore() {
  std::optional<TopicPlace> after;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<RecordLog::OwnedLog> logs, log_->Logs(kTenantNumber, after, 1000));
    if (logs.empty()) return absl::OkStatus();
    absl::MutexLock lock(&mutex_);
    for (const RecordLog::OwnedLog& owned : logs) {
      Growth& growth = growth_[owned.log.ref];
      growth.bytes = step_;
      if (owned.key.topic.kind() == TopicKind::kKeyring) growth.keyring_of = owned.key.instantiation;
    }
    after = logs.back().key;
  }
}

void Keeper::Grew(const GroupHeader& header, storage::LogRef log, size_t bytes) {
  absl::MutexLock lock(&mutex_);
  Growth& growth = growth_[log];
  growth.bytes += bytes;
  if (header.topic.kind() == TopicKind::kKeyring) growth.keyring_of = header.instantiation;
}

void Keeper::Tick() {
  std::vector<Due> due;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [log, growth] : growth_) {
      const bool moved = growth.waits_above > 0 && forwarder_->CursorOf(log) > growth.waits_above;
      if (growth.bytes < step_ && !moved) continue;
      growth.bytes = growth.waits_above = 0;
      due.push_back({log, growth.keyring_of});
    }
  }
  for (const Due& one : due)
    store_->Submit(std::make_unique<TrimTask>(this, one)).IgnoreError();  // refused: destroyed, looks again
}

void Keeper::LookAgain(const Due& due) {
  absl::MutexLock lock(&mutex_);
  growth_[due.log].bytes += step_;
}

}  // namespace keystead::gateway
