#include "mobile-stub/membership.h"

#include "core/cose/cose_key.h"
#include "core/observe/log.h"
#include "mobile-stub/interrupter.h"
#include "mobile-stub/members.h"

namespace keystead::mobile {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(15);
constexpr int kTries = 8;

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
  const WholeWrite whole;  // a recovery key on paper belongs to an owner that is there
  KS_RETURN_IF_ERROR(recovery(RecoveryText(rk)));
  return engine.state().CreateOwner(facts, Member(std::move(identity)));
}

// The commit after the head as this state knows it.
absl::StatusOr<NewCommit> MakeNext(const Engine& engine, const Member& member, const OwnerFacts& facts,
                                   CommitRequest request) {
  const Member::Identity& id = member.identity();
  const OwnerIdentity owner{id.tenant, id.id, facts.nonce, id.self, facts.transport, &id.ik, &id.k};
  const bool first = member.chain().empty();
  request.time = absl::ToUnixSeconds(engine.clock().Now());
  if (first) request.recovery_ckt = facts.recovery_ckt;
  return MakeCommit(member.chain(), owner, first ? nullptr : &member.ring().epoch_secret(), request,
                    engine.random());
}

}  // namespace

absl::StatusOr<Member> ChangeMembership(const Engine& engine, const ChangeFn& change) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  KS_ASSIGN_OR_RETURN(const OwnerFacts facts, engine.state().LoadOwner());
  KS_RETURN_IF_ERROR(Settle(engine, kPatience).status());
  for (int i = 0; i < kTries; ++i) {
    KS_ASSIGN_OR_RETURN(Member member, engine.state().LoadMember());
    KS_ASSIGN_OR_RETURN(Change request, change(member));
    if (!request.has_value()) return member;
    std::vector<NewCommit> pending(1);
    KS_ASSIGN_OR_RETURN(pending.front(), MakeNext(engine, member, facts, *std::move(request)));
    KS_RETURN_IF_ERROR(engine.state().SavePending(pending));
    KS_ASSIGN_OR_RETURN(const Settled settled, Settle(engine, kPatience));
    if (settled == Settled::kEntered) return engine.state().LoadMember();
    Log(LogLevel::kInfo, "commit_conflict", {{"try", i + 1}});
  }
  return absl::AbortedError("others keep changing who belongs: try again");
}

absl::StatusOr<Withdrawal> WithdrawPending(const Engine& engine) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  KS_ASSIGN_OR_RETURN(const AppState::Lock changes, engine.state().LockChanges());
  KS_ASSIGN_OR_RETURN(const OwnerFacts facts, engine.state().LoadOwner());
  KS_ASSIGN_OR_RETURN(std::vector<NewCommit> pending, engine.state().LoadPending());
  if (pending.empty()) return Withdrawal::kNothing;
  const Digest change = pending.front().bundle.CommitHash();  // the others are withdrawals of it
  absl::StatusOr<Settled> settled = Settle(engine, kPatience);
  if (absl::IsUnavailable(settled.status()) && pending.size() < AppState::kMaxPending) {
    KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
    if (member.chain().empty()) {
      return absl::FailedPreconditionError(
          "what is not confirmed yet is the founding of the instantiation: begin with a new state folder");
    }
    KS_ASSIGN_OR_RETURN(NewCommit nothing, MakeNext(engine, member, facts, CommitRequest()));
    pending.push_back(std::move(nothing));
    KS_RETURN_IF_ERROR(engine.state().SavePending(pending));
    settled = Settle(engine, kPatience);
  }
  KS_RETURN_IF_ERROR(settled.status());
  KS_ASSIGN_OR_RETURN(const Member now, engine.state().LoadMember());
  for (uint64_t epoch = 0; epoch <= now.chain().epoch(); ++epoch) {
    const SignedCommit* commit = now.chain().At(epoch);
    if (commit != nullptr && commit->hash == change) return Withdrawal::kTooLate;
  }
  return Withdrawal::kWithdrawn;
}

absl::Status EnsureInstantiation(const Engine& engine, const RecoverySink& recovery) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  if (engine.state().IsGuest()) return engine.state().LoadOwner().status();
  if (!engine.state().HasOwner()) KS_RETURN_IF_ERROR(CreateIdentity(engine, recovery));
  return ChangeMembership(engine,
                          [](const Member& member) {
                            return member.chain().empty() ? Change(CommitRequest()) : Change(std::nullopt);
                          })
      .status();
}

absl::StatusOr<Member> AddCourier(const Engine& engine, const SpiffeId& courier) {
  KS_ASSIGN_OR_RETURN(const AppState::Lock changes, engine.state().LockChanges());
  KS_RETURN_IF_ERROR(engine.state().LoadOwner().status());
  KS_ASSIGN_OR_RETURN(const Member before, engine.state().LoadMember());
  if (courier.tenant() != before.identity().tenant) {
    return absl::InvalidArgumentError(
        absl::StrCat(courier.str(), " is not of tenant ", before.identity().tenant.str()));
  }
  const auto belongs = [&](const Member& member) {
    return !member.chain().empty() && member.chain().roster().FindByTransport(courier.str()) != nullptr;
  };
  if (belongs(before)) return absl::AlreadyExistsError(absl::StrCat(courier.str(), " is a member already"));
  return ChangeMembership(engine, [&](const Member& member) -> absl::StatusOr<Change> {
    if (belongs(member)) return std::nullopt;  // an earlier run's change, confirmed only now
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
  KS_RETURN_IF_ERROR(engine.state().LoadOwner().status());
  KS_ASSIGN_OR_RETURN(const Member before, engine.state().LoadMember());
  // Named among those of before: an earlier run may have put it out already, and that be confirmed only now.
  const absl::StatusOr<MemberId> meant = FindMember(before.chain(), name);
  return ChangeMembership(engine, [&](const Member& member) -> absl::StatusOr<Change> {
    absl::StatusOr<MemberId> out = FindMember(member.chain(), name);
    if (!out.ok() && meant.ok() && member.chain().roster().Find(*meant) == nullptr) return std::nullopt;
    KS_RETURN_IF_ERROR(out.status());
    if (*out == member.identity().self) {
      return absl::InvalidArgumentError("the owner's own app cannot remove itself");
    }
    CommitRequest request;
    request.remove.push_back(*out);
    return request;
  });
}

}  // namespace keystead::mobile
