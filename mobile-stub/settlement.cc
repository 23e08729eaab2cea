#include "mobile-stub/settlement.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "core/observe/log.h"
#include "mobile-stub/members.h"

namespace keystead::mobile {
namespace {

// How often in one run: a hop that restarts cancels calls, and one that races with another change aborts
// them.
constexpr int kTries = 4;
constexpr absl::Duration kPause = absl::Milliseconds(100);
constexpr absl::Duration kLookPatience = absl::Seconds(5);
constexpr size_t kMaxFetches = 4096;  // of 4 MiB

bool Unreachable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// Asked again at once, an honest hop would say the same.
bool Judged(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status) ||
         absl::IsFailedPrecondition(status) || absl::IsUnauthenticated(status) || absl::IsNotFound(status);
}

// That there is nothing at all, rather than that it could not be looked at just now.
bool ShowsNothing(const absl::StatusOr<std::vector<std::string>>& bundles) {
  return (bundles.ok() && bundles->empty()) || absl::IsNotFound(bundles.status()) ||
         absl::IsPermissionDenied(bundles.status());
}

class Settlement {
 public:
  Settlement(const Engine& engine, absl::Duration patience)
      : state_(engine.state()), hop_(engine.hop()), deadline_(absl::Now() + patience) {}

  absl::StatusOr<Settled> Run() {
    KS_ASSIGN_OR_RETURN(const bool anything, Begin());
    if (!anything) return Settled::kNothing;
    for (int tries = 0; tries < kTries; ++tries) {
      if (tries > 0) absl::SleepFor(std::min(kPause * tries, Left()));
      Submit();
      KS_RETURN_IF_ERROR(Look());
      KS_ASSIGN_OR_RETURN(const std::optional<Settled> settled, Conclude());
      if (settled.has_value() && !behind_) return *settled;
      if (absl::Now() >= deadline_ || Unreachable(said_) || Judged(said_)) break;
    }
    return NotConfirmed();
  }

 private:
  absl::Duration Left() const { return std::max(deadline_ - absl::Now(), absl::ZeroDuration()); }

  // False: there is nothing yet that a hop could show.
  absl::StatusOr<bool> Begin() {
    KS_ASSIGN_OR_RETURN(const AppState::Lock lock, state_.Begin());
    KS_ASSIGN_OR_RETURN(const Member member, state_.LoadMember());
    KS_ASSIGN_OR_RETURN(const std::vector<NewCommit> pending, state_.LoadPending());
    tenant_ = member.identity().tenant;
    id_ = member.identity().id;
    pending_ = !pending.empty();
    return pending_ || !member.chain().empty();
  }

  // The newest of what is pending. What is answered is kept for people only.
  void Submit() {
    const absl::StatusOr<std::vector<NewCommit>> pending = state_.LoadPending();
    if (!pending.ok() || pending->empty()) return;
    // Leaves time to look.
    said_ = hop_.Submit(tenant_, id_, pending->back().bundle.EncodeContent(), Left() * 2 / 3);
    if (said_.ok()) return;
    Log(LogLevel::kInfo, "commit_not_taken",
        {{"code", Std(absl::StatusCodeToString(said_.code()))}, {"reason", Std(said_.message())}});
  }

  // Reads on from the head that this app has. A hop that does not show even that is handed what it lacks.
  absl::Status Look() {
    behind_ = false;
    for (size_t i = 0; i < kMaxFetches; ++i) {
      KS_ASSIGN_OR_RETURN(const std::optional<uint64_t> head, Head());
      const uint64_t from = head.value_or(0);
      const auto bundles = hop_.FetchCommits(tenant_, id_, from, std::min(Left(), kLookPatience));
      if (!bundles.ok() || bundles->empty()) {
        behind_ = head.has_value();
        if (said_.ok()) said_ = bundles.status();
        if (behind_ && ShowsNothing(bundles)) HandOver(*head);
        return absl::OkStatus();
      }
      uint64_t epoch = from;
      for (const std::string& content : *bundles) {
        KS_ASSIGN_OR_RETURN(const bool taken, Take(epoch, AsBytes(content)));
        if (!taken) return absl::OkStatus();
        ++epoch;
      }
      KS_ASSIGN_OR_RETURN(const std::optional<uint64_t> now, Head());
      if (now == head) return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<uint64_t>> Head() const {
    KS_ASSIGN_OR_RETURN(const AppState::Lock lock, state_.Begin());
    KS_ASSIGN_OR_RETURN(const Member member, state_.LoadMember());
    if (member.chain().empty()) return std::nullopt;
    return std::optional<uint64_t>(member.chain().epoch());
  }

  // One commit that the hop shows at `epoch`. False: it is none, whatever it is.
  absl::StatusOr<bool> Take(uint64_t epoch, ByteView content) {
    KS_ASSIGN_OR_RETURN(const AppState::Lock lock, state_.Begin());
    KS_ASSIGN_OR_RETURN(Member member, state_.LoadMember());
    const absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(content);
    const MembershipChain& chain = member.chain();
    const SignedCommit* known = chain.empty() ? nullptr : chain.At(epoch);
    if (bundle.ok() && known != nullptr && known->hash == bundle->CommitHash()) return true;
    if (bundle.ok() && known == nullptr) {
      KS_ASSIGN_OR_RETURN(const bool ours, EnterPending(state_, *bundle, member));
      if (ours) return true;
    }
    MembershipChain next = chain;
    const absl::Status valid = bundle.ok() ? next.Apply(*bundle).status() : bundle.status();
    const StreamPlace place{tenant_, id_, Topic::Keyring(), {}, epoch, {}};
    const auto senders =
        chain.empty() ? std::vector<std::pair<Topic, MemberId>>() : SendersOf(chain.roster());
    const KeyringEffect effect = member.AcceptKeyring(place, 0, content, senders);
    if (absl::IsAlreadyExists(valid)) {
      return absl::FailedPreconditionError(
          absl::StrCat("fork: the next hop shows another commit of the owner at epoch ", epoch,
                       " than the one this state has entered"));
    }
    if (!valid.ok()) {
      said_ = absl::DataLossError("it shows a commit that does not verify");
      return false;
    }
    if (effect == KeyringEffect::kRefused) {
      return absl::FailedPreconditionError(
          "the registry holds a newer commit that this state cannot open: was the state folder put back from "
          "an old copy?");
    }
    KS_RETURN_IF_ERROR(state_.SaveMember(member));
    return true;
  }

  // Commits that this app entered and the hop does not show: it was lied to, or put back. They are handed
  // over from the newest one that the hop does show.
  void HandOver(uint64_t head) {
    uint64_t shown = head;
    while (shown > 0) {
      const auto bundles = hop_.FetchCommits(tenant_, id_, shown - 1, std::min(Left(), kLookPatience));
      if (bundles.ok() && !bundles->empty()) break;
      if (absl::Now() >= deadline_ || !ShowsNothing(bundles)) return;
      --shown;
    }
    const absl::StatusOr<Member> member = state_.LoadMember();
    if (!member.ok()) return;
    const auto& bundles = member->bundles();
    if (bundles.size() != head + 1) return;  // not ours from the beginning
    for (uint64_t epoch = shown; epoch < bundles.size(); ++epoch) {
      said_ = hop_.Submit(tenant_, id_, bundles[epoch], Left());
      Log(LogLevel::kInfo, "commit_handed_over_again",
          {{"epoch", epoch}, {"answer", Std(absl::StatusCodeToString(said_.code()))}});
    }
  }

  // What the state says now: this process or a `watch` beside it may have entered something. None: open.
  absl::StatusOr<std::optional<Settled>> Conclude() {
    KS_ASSIGN_OR_RETURN(const AppState::Lock lock, state_.Begin());
    KS_ASSIGN_OR_RETURN(const Member member, state_.LoadMember());
    KS_ASSIGN_OR_RETURN(const std::vector<NewCommit> pending, state_.LoadPending());
    if (pending.empty()) return settled_;
    settled_ = Settled::kSuperseded;
    for (const NewCommit& commit : pending) {
      const Digest hash = commit.bundle.CommitHash();
      for (uint64_t epoch = 0; !member.chain().empty() && epoch <= member.chain().epoch(); ++epoch) {
        const SignedCommit* taken = member.chain().At(epoch);
        if (taken != nullptr && taken->hash == hash) settled_ = Settled::kEntered;
      }
      MembershipChain next = member.chain();
      if (settled_ != Settled::kEntered && next.Apply(commit.bundle).ok()) return std::nullopt;
    }
    if (settled_ == Settled::kSuperseded) Log(LogLevel::kInfo, "pending_commit_superseded", {});
    KS_RETURN_IF_ERROR(state_.DropPending());
    return settled_;
  }

  absl::Status NotConfirmed() const {
    const std::string what = said_.ok() ? "it says it took it, but does not show it"
                                        : absl::StrCat("it answered ", absl::StatusCodeToString(said_.code()),
                                                       said_.message().empty() ? "" : ": ", said_.message());
    if (!pending_) {
      return absl::UnavailableError(
          absl::StrCat("the next hop does not show the members as this app knows them (", what,
                       "), so nothing was changed: try again, or at another next hop"));
    }
    return absl::UnavailableError(
        absl::StrCat("the change is not confirmed yet (next hop: ", what,
                     "); it is kept, and handed over again at the next change or by a running 'watch'"));
  }

  const AppState& state_;
  const HopClient hop_;
  const absl::Time deadline_;
  TenantName tenant_;
  InstantiationId id_;
  absl::Status said_;
  bool pending_ = false;
  bool behind_ = false;  // the hop shows less than this app has entered
  Settled settled_ = Settled::kNothing;
};

}  // namespace

absl::StatusOr<Settled> Settle(const Engine& engine, absl::Duration patience) {
  return Settlement(engine, patience).Run();
}

absl::StatusOr<bool> EnterPending(const AppState& state, const CommitBundle& bundle, Member& member) {
  const Digest hash = bundle.CommitHash();
  if (!member.chain().empty() && member.chain().head().hash == hash) return true;
  KS_ASSIGN_OR_RETURN(const std::vector<NewCommit> pending, state.LoadPending());
  const auto ours =
      std::ranges::find_if(pending, [&](const NewCommit& c) { return c.bundle.CommitHash() == hash; });
  if (ours == pending.end()) return false;
  const auto senders =
      member.chain().empty() ? std::vector<std::pair<Topic, MemberId>>() : SendersOf(member.chain().roster());
  // What does not follow on the head is of a past that went another way.
  if (!member.EnterOwn(*ours, senders).ok()) return false;
  KS_RETURN_IF_ERROR(state.SaveMember(member));
  return true;
}

}  // namespace keystead::mobile
