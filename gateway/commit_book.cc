#include "gateway/commit_book.h"

#include <utility>

#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "core/transport/group_event.h"

namespace keystead::gateway {
namespace {

constexpr size_t kRowsPerScan = 8;  // of about 256 KiB at most

template <class Source>
absl::StatusOr<std::vector<CommitRow>> ReadRows(Source& source, const InstantiationId& id) {
  const std::string prefix = id.ToString();
  std::vector<CommitRow> out;
  std::string after;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Row> rows,
                        source.Scan(kTenantNumber, kCommitTable,
                                    {.prefix = prefix, .after = after, .max_rows = kRowsPerScan}));
    if (rows.empty()) return out;
    for (const storage::Row& row : rows) {
      KS_ASSIGN_OR_RETURN(CommitRow commit, DecodeCommit(row.value));
      out.push_back(std::move(commit));
    }
    after = rows.back().key;
  }
}

}  // namespace

absl::StatusOr<std::vector<CommitRow>> CommitsOf(storage::Transaction& transaction,
                                                 const InstantiationId& id) {
  return ReadRows(transaction, id);
}

absl::StatusOr<std::optional<absl::Time>> TakenAt(storage::Transaction& transaction,
                                                  const InstantiationId& id, uint64_t epoch) {
  KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(kTenantNumber, kCommitTable, CommitKey(id, epoch)));
  if (!row.has_value()) return std::optional<absl::Time>();
  KS_ASSIGN_OR_RETURN(const CommitRow commit, DecodeCommit(*row));
  return std::optional<absl::Time>(commit.taken);
}

absl::Status CommitBook::Load(const InstantiationId& id) {
  chain_.emplace(tenant_, id);
  KS_RETURN_IF_ERROR(
      store_->Commit([](storage::Transaction&) { return absl::OkStatus(); }, storage::Durability::kBuffered));
  KS_ASSIGN_OR_RETURN(const std::vector<CommitRow> rows, ReadRows(*store_, id));
  for (const CommitRow& row : rows) {
    GroupHeaderCache headers;
    const absl::StatusOr<GroupView> group = GroupView::Parse(row.group, headers);
    absl::StatusOr<CommitBundle> bundle = absl::DataLossError("a stored commit does not parse");
    if (group.ok()) bundle = CommitBundle::ParseContent(group->records().front().cose);
    if (!bundle.ok() || !chain_->Apply(*bundle).ok())
      return absl::DataLossError("a stored commit does not verify");
  }
  return absl::OkStatus();
}

// Takes the successor, and builds the group in which it stands in keyring.
absl::StatusOr<Payload> CommitBook::Apply(const CommitBundle& bundle) {
  KS_RETURN_IF_ERROR(chain_->Apply(bundle).status());
  GroupHeader header;
  header.tenant = tenant_;
  header.instantiation = chain_->id();
  header.topic = Topic::Keyring();
  header.sender = chain_->head().owner;
  header.epoch = chain_->epoch();
  GroupBuilder builder(header);
  KS_RETURN_IF_ERROR(builder.Append(0, bundle.EncodeContent()));
  return builder.Take();
}

absl::StatusOr<Payload> CommitBook::JudgeBundle(ByteView content) {
  if (!chain_.has_value()) return absl::FailedPreconditionError("no instantiation is followed");
  KS_ASSIGN_OR_RETURN(const CommitBundle bundle, CommitBundle::ParseContent(content));
  const Digest hash = bundle.CommitHash();
  for (uint64_t epoch = next_epoch(); epoch-- > 0;) {  // it may have come by itself meanwhile
    if (chain_->At(epoch)->hash == hash) return Payload();
  }
  return Apply(bundle);
}

CommitBook::Verdict CommitBook::Judge(const GroupView& group) {
  const GroupHeader& header = group.header();
  absl::Status why;
  if (!chain_.has_value() || header.instantiation != chain_->id()) {
    why = absl::FailedPreconditionError("a commit of another instantiation");
  } else if (group.records().size() != 1 || group.first_sequence() != 0) {
    why = absl::InvalidArgumentError("a commit stands alone at sequence 0");
  } else if (const absl::StatusOr<CommitBundle> bundle =
                 CommitBundle::ParseContent(group.records().front().cose);
             !bundle.ok()) {
    why = bundle.status();
  } else if (const SignedCommit* const known = chain_->At(header.epoch);
             known != nullptr && known->hash == bundle->CommitHash()) {
    return Verdict::kKnown;
  } else if (known == nullptr && header.epoch != next_epoch()) {
    why = absl::AbortedError(
        "a commit that does not follow what is known here");  // without a look at signatures
  } else {
    // On a copy, so that a commit at another's place is not taken: copies share what they hold.
    MembershipChain next = *chain_;
    why = next.Apply(*bundle).status();
    if (why.ok() && (next.epoch() != header.epoch || next.head().owner != header.sender))
      why = absl::InvalidArgumentError("a commit at the place of another");
    if (why.ok()) {
      chain_ = std::move(next);
      return Verdict::kSuccessor;
    }
  }
  Report(EventAt(absl::IsAlreadyExists(why) ? SecurityEventKind::kFork : SecurityEventKind::kCommitRefused,
                 group, kNextHop, std::string(why.message())));
  return absl::IsAborted(why) && header.epoch > next_epoch() ? Verdict::kAhead : Verdict::kRefused;
}

void CommitBook::Store(storage::Transaction& transaction, const GroupHeader& header, uint64_t offset,
                       std::string_view group) const {
  transaction.Put(kTenantNumber, kCommitTable, CommitKey(header.instantiation, header.epoch),
                  EncodeCommit({clock_->Now(), offset, std::string(group)}));
}

}  // namespace keystead::gateway
