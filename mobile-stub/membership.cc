#include "mobile-stub/membership.h"

#include "core/cose/cose_key.h"
#include "core/observe/log.h"
#include "mobile-stub/members.h"

namespace keystead::mobile {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(15);
constexpr int kTries = 8;

int64_t UnixSeconds(const Engine& engine) { return absl::ToUnixSeconds(engine.clock().Now()); }

// "KSRK1:" and the scalar in hex, for paper.
SecretBytes RecoveryText(const crypto::EcdsaKeyPair& rk) {
  constexpr std::string_view kPrefix = "KSRK1:";
  constexpr char kHexDigits[] = "0123456789abcdef";
  const SecretBytes scalar = rk.ExportPrivateScalar();
  SecretBytes text(kPrefix.size() + 2 * scalar.size());
  const std::span<uint8_t> out = text.MutableSecret();
  std::ranges::copy(kPrefix, out.begin());
  size_t at = kPrefix.size();
  for (const uint8_t byte : scalar.ExposeSecret()) {
    out[at++] = static_cast<uint8_t>(kHexDigits[byte >> 4]);
    out[at++] = static_cast<uint8_t>(kHexDigits[byte & 15]);
  }
  return text;
}

absl::Status CreateIdentity(const Engine& engine, const RecoverySink& recovery) {
  OwnerFacts facts;
  Member::Identity identity;
  KS_ASSIGN_OR_RETURN(identity.ik, crypto::EcdsaKeyPair::Generate(engine.random()));
  KS_ASSIGN_OR_RETURN(identity.k, crypto::EcdhKeyPair::Generate(engine.random()));
  KS_ASSIGN_OR_RETURN(const crypto::EcdsaKeyPair rk, crypto::EcdsaKeyPair::Generate(engine.random()));
  facts.transport = engine.transport().str();
  facts.nonce = engine.random().NewId<Digest>();
  facts.recovery_ckt = cose::Ckt(rk.public_key());
  identity.tenant = engine.transport().tenant();
  identity.owner_ckt = cose::Ckt(identity.ik.public_key());
  identity.id = DeriveInstantiationId(identity.tenant, identity.owner_ckt, facts.nonce);
  identity.self = engine.random().NewId<MemberId>();
  KS_RETURN_IF_ERROR(recovery(RecoveryText(rk)));
  return engine.state().CreateOwner(facts, Member(std::move(identity)));
}

OwnerIdentity OwnerOf(const Member& member, const OwnerFacts& facts) {
  const Member::Identity& id = member.identity();
  return {id.tenant, id.id, facts.nonce, id.self, facts.transport, &id.ik, &id.k};
}

// A commit of ours whose answer was never seen: its bytes again answer like the first time.
absl::Status SettlePending(const Engine& engine) {
  absl::StatusOr<std::optional<NewCommit>> pending = engine.state().LoadPending();
  KS_RETURN_IF_ERROR(pending.status());
  if (!pending->has_value()) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(Member member, engine.state().LoadMember());
  const CommitBundle& bundle = (*pending)->bundle;
  const bool entered = !member.chain().empty() && member.chain().head().hash == bundle.CommitHash();
  if (!entered) {
    const absl::Status submitted = engine.hop().Submit(member.identity().tenant, member.identity().id,
                                                       bundle.EncodeContent(), kPatience);
    if (absl::IsUnavailable(submitted) || absl::IsDeadlineExceeded(submitted)) return submitted;
    if (!submitted.ok()) {
      Log(LogLevel::kInfo, "pending_commit_dropped", {{"reason", Std(submitted.message())}});
      return engine.state().DropPending();
    }
  }
  KS_ASSIGN_OR_RETURN(const AppState::Lock lock, engine.state().Begin());
  KS_ASSIGN_OR_RETURN(member, engine.state().LoadMember());
  KS_RETURN_IF_ERROR(EnterPending(engine.state(), bundle, member).status());
  return engine.state().DropPending();
}

// Takes what the registry holds beyond the state: commits of another full member.
absl::Status CatchUp(const Engine& engine) {
  KS_ASSIGN_OR_RETURN(const AppState::Lock lock, engine.state().Begin());
  KS_ASSIGN_OR_RETURN(Member member, engine.state().LoadMember());
  const Member::Identity& id = member.identity();
  const uint64_t from = member.chain().empty() ? 0 : member.chain().epoch() + 1;
  KS_ASSIGN_OR_RETURN(const auto bundles, engine.hop().FetchCommits(id.tenant, id.id, from, kPatience));
  bool changed = false;
  for (const std::string& content : bundles) {
    StreamPlace place{id.tenant, id.id, Topic::Keyring(), {}, 0, {}};
    const auto senders = member.chain().empty() ? std::vector<std::pair<Topic, MemberId>>()
                                                : SendersOf(member.chain().roster());
    const KeyringEffect effect = member.AcceptKeyring(place, 0, AsBytes(content), senders);
    if (effect == KeyringEffect::kRefused) {
      return absl::FailedPreconditionError(
          "the registry holds a newer commit that this state cannot open: was the state folder put back from "
          "an "
          "old copy?");
    }
    changed = changed || effect == KeyringEffect::kEpoch;
  }
  return changed ? engine.state().SaveMember(member) : absl::OkStatus();
}

absl::StatusOr<Member> Enter(const Engine& engine, const CommitBundle& bundle) {
  KS_ASSIGN_OR_RETURN(const AppState::Lock lock, engine.state().Begin());
  KS_ASSIGN_OR_RETURN(Member member, engine.state().LoadMember());
  KS_ASSIGN_OR_RETURN(const bool ours, EnterPending(engine.state(), bundle, member));
  if (!ours) return absl::InternalError("a commit was accepted that is not the pending one");
  KS_RETURN_IF_ERROR(engine.state().DropPending());
  return member;
}

}  // namespace

absl::StatusOr<bool> EnterPending(const AppState& state, const CommitBundle& bundle, Member& member) {
  const Digest hash = bundle.CommitHash();
  if (!member.chain().empty() && member.chain().head().hash == hash) return true;
  KS_ASSIGN_OR_RETURN(const std::optional<NewCommit> pending, state.LoadPending());
  if (!pending.has_value() || pending->bundle.CommitHash() != hash) return false;
  const auto senders =
      member.chain().empty() ? std::vector<std::pair<Topic, MemberId>>() : SendersOf(member.chain().roster());
  KS_RETURN_IF_ERROR(member.EnterOwn(*pending, senders));
  KS_RETURN_IF_ERROR(state.SaveMember(member));
  return true;
}

absl::StatusOr<Member> ChangeMembership(const Engine& engine, const ChangeFn& change) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  KS_ASSIGN_OR_RETURN(const OwnerFacts facts, engine.state().LoadOwner());
  KS_RETURN_IF_ERROR(SettlePending(engine));
  absl::Status last;
  for (int i = 0; i < kTries; ++i) {
    KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
    KS_ASSIGN_OR_RETURN(CommitRequest request, change(member));
    request.time = UnixSeconds(engine);
    if (member.chain().empty()) request.recovery_ckt = facts.recovery_ckt;
    const bool first = member.chain().empty();
    KS_ASSIGN_OR_RETURN(const NewCommit commit, MakeCommit(member.chain(), OwnerOf(member, facts),
                                                           first ? nullptr : &member.ring().epoch_secret(),
                                                           request, engine.random()));
    KS_RETURN_IF_ERROR(engine.state().SavePending(commit));
    last = engine.hop().Submit(member.identity().tenant, member.identity().id, commit.bundle.EncodeContent(),
                               kPatience);
    if (last.ok()) return Enter(engine, commit.bundle);
    if (absl::IsUnavailable(last) || absl::IsDeadlineExceeded(last))
      return last;  // pending: settled next time
    KS_RETURN_IF_ERROR(engine.state().DropPending());
    if (!absl::IsAborted(last)) return last;
    Log(LogLevel::kInfo, "commit_conflict", {{"try", i + 1}});
    KS_RETURN_IF_ERROR(CatchUp(engine));
  }
  return last;
}

absl::Status EnsureInstantiation(const Engine& engine, const RecoverySink& recovery) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  if (!engine.state().HasOwner()) KS_RETURN_IF_ERROR(CreateIdentity(engine, recovery));
  KS_RETURN_IF_ERROR(SettlePending(engine));
  KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
  if (!member.chain().empty()) return absl::OkStatus();
  return ChangeMembership(engine, [](const Member&) { return CommitRequest(); }).status();
}

absl::StatusOr<Member> AddCourier(const Engine& engine, const SpiffeId& courier) {
  KS_ASSIGN_OR_RETURN(const AppState::Lock changes, engine.state().LockChanges());
  return ChangeMembership(engine, [&](const Member& member) -> absl::StatusOr<CommitRequest> {
    if (courier.tenant() != member.identity().tenant) {
      return absl::InvalidArgumentError(
          absl::StrCat(courier.str(), " is not of tenant ", member.identity().tenant.str()));
    }
    if (member.chain().roster().FindByTransport(courier.str()) != nullptr) {
      return absl::AlreadyExistsError(absl::StrCat(courier.str(), " is a member already"));
    }
    Newcomer newcomer;
    newcomer.entry.member = engine.random().NewId<MemberId>();
    newcomer.entry.kind = MemberKind::kCourier;
    newcomer.entry.transport = courier.str();
    CommitRequest request;
    request.add.push_back(std::move(newcomer));
    return request;
  });
}

absl::StatusOr<Member> RemoveMember(const Engine& engine, std::string_view name) {
  KS_ASSIGN_OR_RETURN(const AppState::Lock changes, engine.state().LockChanges());
  return ChangeMembership(engine, [&](const Member& member) -> absl::StatusOr<CommitRequest> {
    KS_ASSIGN_OR_RETURN(const MemberId out, FindMember(member.chain(), name));
    if (out == member.identity().self) {
      return absl::InvalidArgumentError("the owner's own app cannot remove itself");
    }
    CommitRequest request;
    request.remove.push_back(out);
    return request;
  });
}

}  // namespace keystead::mobile
