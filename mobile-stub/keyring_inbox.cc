#include "mobile-stub/keyring_inbox.h"

#include "core/crypto/hash.h"
#include "core/observe/log.h"
#include "mobile-stub/members.h"
#include "mobile-stub/membership.h"

namespace keystead::mobile {
namespace {

constexpr size_t kMaxRemembered = 65536;

}  // namespace

void KeyringInbox::Take(const StreamPlace& place, uint64_t sequence, ByteView content) {
  const absl::StatusOr<ContentView> view = ParseContent(content);
  if (view.ok() && view->kind == kinds::kCommit) return TakeCommit(place, sequence, content);
  TakeNotice(place, sequence, content);
}

void KeyringInbox::TakeNotice(const StreamPlace& place, uint64_t sequence, ByteView content) {
  const Digest digest = crypto::Sha256(content);
  const auto at = std::pair(place.stream, sequence);
  const auto known = notices_.find(at);
  if (known != notices_.end() && known->second == digest) return events_.on_duplicate(place, sequence);
  const KeyringEffect effect = member_.AcceptKeyring(place, sequence, content);
  if (effect == KeyringEffect::kRefused) return;
  if (known != notices_.end()) {
    Report({.kind = SecurityEventKind::kConflict,
            .tenant = place.tenant.str(),
            .instantiation = place.id.ToHex(),
            .topic = place.topic.str(),
            .sender = place.sender.ToHex(),
            .stream = place.stream.ToHex(),
            .epoch = place.epoch,
            .sequence = sequence,
            .detail = "two different signed words at one sequence"});
    return;
  }
  if (notices_.size() >= kMaxRemembered) notices_.clear();
  notices_.emplace(at, digest);
}

void KeyringInbox::TakeCommit(const StreamPlace& place, uint64_t sequence, ByteView content) {
  const absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(content);
  if (!bundle.ok()) {
    member_.AcceptKeyring(place, sequence, content);  // refuses and reports it
    return;
  }
  const Digest hash = crypto::Sha256(content);
  if (!commits_.insert(hash).second) return events_.on_duplicate(place, sequence);
  const SignedCommit* known = member_.chain().At(place.epoch);
  if (known != nullptr && known->hash == bundle->CommitHash()) {
    member_.AcceptKeyring(place, sequence, content);
    return;
  }
  const absl::StatusOr<bool> taken = TakeNewCommit(place, sequence, content, *bundle);
  if (!taken.ok()) Log(LogLevel::kError, "commit_not_entered", {{"reason", Std(taken.status().message())}});
  if (taken.ok() && *taken) return events_.after_change();
  commits_.erase(hash);
}

// True: the member is another now.
absl::StatusOr<bool> KeyringInbox::TakeNewCommit(const StreamPlace& place, uint64_t sequence,
                                                 ByteView content, const CommitBundle& bundle) {
  KS_ASSIGN_OR_RETURN(const AppState::Lock lock, engine_.state().Begin());
  KS_ASSIGN_OR_RETURN(Member stored, engine_.state().LoadMember());
  const SignedCommit* known = stored.chain().empty() ? nullptr : stored.chain().At(place.epoch);
  bool ours = known != nullptr && known->hash == bundle.CommitHash();
  if (!ours) {
    KS_ASSIGN_OR_RETURN(ours, EnterPending(engine_.state(), bundle, stored));
  }
  if (ours) {
    member_ = std::move(stored);
    return true;
  }
  const auto senders = SendersOf(member_.chain().roster());
  const KeyringEffect effect = member_.AcceptKeyring(place, sequence, content, senders);
  if (effect != KeyringEffect::kEpoch && effect != KeyringEffect::kRemoved) return false;
  if (effect == KeyringEffect::kRemoved) member_.ring().Wipe();  // a guest that was put out
  if (const absl::Status saved = engine_.state().SaveMember(member_); !saved.ok()) {
    Log(LogLevel::kError, "state_not_saved", {{"reason", Std(saved.message())}});
  }
  return true;
}

}  // namespace keystead::mobile
