#include "mobile-stub/pairing.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "absl/time/clock.h"
#include "core/observe/security_event.h"
#include "core/sealing/joining.h"
#include "mobile-stub/guest.h"
#include "mobile-stub/members.h"

namespace keystead::mobile {
namespace {

constexpr absl::Duration kSlice = absl::Seconds(2);
constexpr absl::Duration kPutPatience = absl::Seconds(10);
constexpr absl::Duration kGlance = absl::Milliseconds(50);
constexpr absl::Duration kSlowest = absl::Milliseconds(200);  // a round that brings nothing takes so long
constexpr size_t kMaxTries = 4;  // announcements answered: each takes a place in a mailbox of 16

// One label: from announcement to M2.
class Join {
 public:
  Join(const Engine& engine, const Member& member, const membership::Label& label, const GuestTerms* terms,
       const ProgressFn& progress)
      : engine_(engine),
        member_(member),
        label_(label),
        terms_(terms),
        progress_(progress),
        hop_(engine.hop()) {}

  absl::StatusOr<JoinedMember> Run(absl::Duration patience) {
    if (label_.tenant != member_.identity().tenant) {
      return absl::InvalidArgumentError(absl::StrCat("the label is of tenant ", label_.tenant.str(),
                                                     ", this app belongs to ",
                                                     member_.identity().tenant.str()));
    }
    KS_ASSIGN_OR_RETURN(announcements_, AnnouncementBox(label_.setup_code));
    deadline_ = absl::Now() + patience;
    const RosterEntry* const before = Already();
    Tell(before == nullptr ? "waiting_for_announcement" : "is_yours_already", "");
    while (absl::Now() < deadline_) {
      const absl::Time begun = absl::Now();
      const absl::Duration left = deadline_ - begun;
      KS_RETURN_IF_ERROR(
          LookForAnnouncements(tries_.empty() ? std::min(left, kSlice) : std::min(left, kGlance)));
      if (!tries_.empty()) {
        absl::StatusOr<std::optional<JoinedMember>> joined =
            LookForM2(std::min(deadline_ - absl::Now(), kSlice));
        KS_RETURN_IF_ERROR(joined.status());
        if (joined->has_value()) return **std::move(joined);
      }
      // A hop may answer at once that there is nothing, or that we ask too often: asked again no faster than
      // this.
      if (!heard_) absl::SleepFor(std::min(begun + kSlowest - absl::Now(), deadline_ - absl::Now()));
      heard_ = false;
    }
    if (before != nullptr) {
      return absl::AlreadyExistsError(absl::StrCat("this device is yours already, as member ",
                                                   before->member.Short(),
                                                   "; to pair it anew, reset it first"));
    }
    if (tries_.empty()) {
      return absl::FailedPreconditionError(
          "it did not announce itself: is it switched on, armed, and at the same next hop? If somebody else "
          "paired it, this device is not yours yet: reset it");
    }
    return absl::FailedPreconditionError("this device is not yours yet: reset it");
  }

 private:
  // The device of this label among the members. It may have been reset since, and then announces itself.
  const RosterEntry* Already() const {
    if (member_.chain().empty()) return nullptr;
    return member_.chain().roster().FindByCkt(label_.ckt);
  }

  void Tell(std::string_view event, std::string_view detail) const {
    if (progress_) progress_({std::string(event), label_.device_id, std::string(detail)});
  }

  void Refuse(std::string_view what, const absl::Status& why) const {
    Report({.kind = SecurityEventKind::kJoinRefused,
            .tenant = label_.tenant.str(),
            .instantiation = member_.identity().id.ToHex(),
            .peer = label_.device_id,
            .detail = absl::StrCat(Absl(what), ": ", why.message())});
    Tell("refused", absl::StrCat(Absl(what), ": ", why.message()));
  }

  // What is new in the box.
  absl::StatusOr<std::vector<std::string>> Listen(const MailboxName& box, uint32_t& seen,
                                                  absl::Duration patience) {
    KS_ASSIGN_OR_RETURN(std::vector<std::string> messages, hop_.Await(box, seen, patience));
    seen += static_cast<uint32_t>(messages.size());
    heard_ = heard_ || !messages.empty();
    return messages;
  }

  absl::Status LookForAnnouncements(absl::Duration patience) {
    KS_ASSIGN_OR_RETURN(const auto messages, Listen(announcements_, seen_announcements_, patience));
    // The newest that verifies: older ones are of an earlier arming.
    for (auto message = messages.rbegin(); message != messages.rend(); ++message) {
      if (const auto announcement = VerifyAnnouncement(AsBytes(*message), label_); !announcement.ok()) {
        Refuse("an announcement that does not verify", announcement.status());
        continue;
      }
      if (*message == answered_ || tries_.size() >= kMaxTries) return absl::OkStatus();
      answered_ = *message;
      return SendM1(AsBytes(*message));
    }
    return absl::OkStatus();
  }

  absl::Status SendM1(ByteView announcement) {
    Tell("announced", "");
    const Member::Identity& id = member_.identity();
    const JoinInitiator::Owner owner{id.tenant, id.id, id.self, &id.ik, id.k.public_key()};
    KS_ASSIGN_OR_RETURN(JoinInitiator join,
                        JoinInitiator::Start(label_, announcement, owner, engine_.random().NewId<MemberId>(),
                                             absl::ToUnixSeconds(engine_.clock().Now()), engine_.random()));
    KS_RETURN_IF_ERROR(hop_.Put(join.m1_box(), join.m1(), std::min(deadline_ - absl::Now(), kPutPatience)));
    Tell("m1_sent", "");
    if (tries_.empty() || tries_.back().m2_box() != join.m2_box()) seen_m2_ = 0;
    tries_.push_back(std::move(join));
    return absl::OkStatus();
  }

  // The label says who the device is: it must not take the place of another in the roster.
  absl::Status CheckTransport(const JoinedMember& joined) const {
    const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(joined.transport);
    const bool is_device = id.ok() && (id->role() == Role::kDevice || id->role() == Role::kGateway);
    if (id.ok() && id->tenant() == label_.tenant && id->id() == label_.device_id &&
        (terms_ == nullptr ? is_device : *id == terms_->who)) {
      return absl::OkStatus();
    }
    return absl::PermissionDeniedError(
        terms_ == nullptr ? "the device names a transport identity that is not the one of its label, or is "
                            "of no device: a guest "
                            "is let in with --guest"
                          : "the guest names another transport identity than the one that is to be let in");
  }

  absl::StatusOr<std::optional<JoinedMember>> LookForM2(absl::Duration patience) {
    KS_ASSIGN_OR_RETURN(const auto messages, Listen(tries_.back().m2_box(), seen_m2_, patience));
    for (const std::string& message : messages) {
      absl::Status why;
      for (const JoinInitiator& join : tries_) {
        absl::StatusOr<JoinedMember> joined = join.Finish(AsBytes(message));
        if (joined.ok()) {
          KS_RETURN_IF_ERROR(CheckTransport(*joined));
          Tell("joined", joined->kind);
          return std::optional<JoinedMember>(*std::move(joined));
        }
        why = joined.status();
      }
      Refuse("a message that is no answer to M1", why);
    }
    return std::optional<JoinedMember>();
  }

  const Engine& engine_;
  const Member& member_;
  const membership::Label& label_;
  const GuestTerms* const terms_;  // null: of a device or gateway
  const ProgressFn& progress_;
  const HopClient hop_;
  absl::Time deadline_;
  MailboxName announcements_;
  uint32_t seen_announcements_ = 0;
  uint32_t seen_m2_ = 0;
  bool heard_ = false;  // something came in this round
  std::string answered_;
  std::deque<JoinInitiator> tries_;
};

// What the terms grant by the newest roster: what these members measure, and nothing else.
absl::StatusOr<std::vector<Right>> RightsOf(const GuestTerms& terms, const MembershipChain& chain) {
  std::vector<Right> rights;
  for (const std::string& name : terms.may_read) {
    KS_ASSIGN_OR_RETURN(const MemberId member, FindMember(chain, name));
    const Topic measured = Topic::Of(TopicKind::kTelemetry, member);
    if (!chain.roster().MayWrite(*chain.roster().Find(member), measured) ||
        chain.roster().Find(member)->kind == MemberKind::kOwner) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", Absl(name), "' measures nothing that could be read"));
    }
    rights.push_back({measured, true, false});
  }
  std::ranges::sort(rights, {}, &Right::topic);
  const auto twice = std::ranges::unique(rights);
  rights.erase(twice.begin(), twice.end());
  return rights;
}

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// All that can be said before anything is sent: once a guest has answered, its label is spent.
absl::Status CheckTerms(const PairRequest& request, const Engine& engine, const MembershipChain& chain) {
  const GuestTerms& terms = *request.guest;
  if (request.labels.size() != 1) return absl::InvalidArgumentError("a guest is let in by its one label");
  if (!CanBeGuest(terms.who)) {
    return absl::InvalidArgumentError(
        absl::StrCat(terms.who.str(), " can be no guest: guests are apps, third parties' apps and services"));
  }
  if (terms.who.id() != request.labels.front().device_id ||
      terms.who.tenant() != request.labels.front().tenant)
    return absl::InvalidArgumentError(absl::StrCat("the label is not of ", terms.who.str()));
  if (terms.may_read.empty()) return absl::InvalidArgumentError("a guest that may read nothing");
  if (terms.who.role() == Role::kThirdParty && !terms.until.has_value())
    return absl::InvalidArgumentError("a third party's app is let in for a time: say until when");
  if (terms.until.has_value() && *terms.until <= engine.clock().Now())
    return absl::InvalidArgumentError("the time until which the guest may read is over");
  for (const RosterEntry& entry : chain.roster().entries()) {
    if (entry.transport == terms.who.str())
      return absl::AlreadyExistsError(absl::StrCat(entry.transport, " is a member already: remove it first"));
    if (DeviceIdOf(entry) == terms.who.id())
      return absl::AlreadyExistsError(absl::StrCat("a member is called '", terms.who.id(), "' already"));
  }
  if (terms.who.id().size() >= 4 && IsHex(terms.who.id()))
    return absl::InvalidArgumentError("a guest whose name could be the start of a member id");
  return RightsOf(terms, chain).status();
}

Newcomer NewcomerOf(const JoinedMember& joined) {
  Newcomer newcomer;
  newcomer.entry.member = joined.member;
  newcomer.entry.kind = joined.kind == "gateway" ? MemberKind::kGateway : MemberKind::kDevice;
  newcomer.entry.transport = joined.transport;
  newcomer.entry.ik = joined.ik;
  newcomer.entry.k = joined.k;
  if (newcomer.entry.kind == MemberKind::kDevice) newcomer.entry.rights = DefaultDeviceRights(joined.member);
  newcomer.join = joined.join.Clone();
  newcomer.acceptance = joined.acceptance;
  return newcomer;
}

// Adds them all; a device that was a member before and was reset comes in the place of what it was.
absl::StatusOr<CommitRequest> RequestFor(const std::vector<JoinedMember>& joined,
                                         const std::optional<GuestTerms>& guest,
                                         const MembershipChain& chain) {
  CommitRequest request;
  for (const JoinedMember& device : joined) {
    Newcomer newcomer = NewcomerOf(device);
    if (guest.has_value()) {
      newcomer.entry.kind = MemberKind::kReader;
      KS_ASSIGN_OR_RETURN(newcomer.entry.rights, RightsOf(*guest, chain));
      if (guest->until.has_value()) newcomer.entry.expires_at = absl::ToUnixSeconds(*guest->until);
    }
    for (const RosterEntry& entry : chain.roster().entries()) {
      const bool same_key = !entry.ik.empty() && entry.ik == device.ik;
      if (!same_key && entry.transport != device.transport) continue;
      if (std::ranges::find(request.remove, entry.member) == request.remove.end()) {
        request.remove.push_back(entry.member);
      }
    }
    request.add.push_back(std::move(newcomer));
  }
  return request;
}

}  // namespace

absl::StatusOr<PairOutcome> PairDevices(const Engine& engine, const PairRequest& request,
                                        const RecoverySink& recovery, const ProgressFn& progress) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  KS_ASSIGN_OR_RETURN(const AppState::Lock changes, engine.state().LockChanges());
  KS_RETURN_IF_ERROR(EnsureInstantiation(engine, recovery));
  PairOutcome outcome;
  std::vector<JoinedMember> joined;
  {
    KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
    outcome.id = member.identity().id;
    outcome.epoch = member.chain().epoch();
    const GuestTerms* const terms = request.guest.has_value() ? &*request.guest : nullptr;
    if (terms != nullptr) KS_RETURN_IF_ERROR(CheckTerms(request, engine, member.chain()));
    for (const membership::Label& label : request.labels) {
      absl::StatusOr<JoinedMember> device =
          Join(engine, member, label, terms, progress).Run(request.patience);
      if (!device.ok()) {
        outcome.failed.push_back({label.device_id, device.status()});
        continue;
      }
      outcome.paired.push_back({label.device_id, device->kind, device->member});
      joined.push_back(*std::move(device));
    }
  }
  if (joined.empty()) return outcome;
  // Known before the commit is: it may be confirmed only in another run.
  for (const PairedDevice& device : outcome.paired) {
    KS_RETURN_IF_ERROR(engine.state().AddKind(device.member, device.kind));
  }
  KS_ASSIGN_OR_RETURN(
      const Member member, ChangeMembership(engine, [&](const Member& now) -> absl::StatusOr<Change> {
        KS_ASSIGN_OR_RETURN(CommitRequest change, RequestFor(joined, request.guest, now.chain()));
        return Change(std::move(change));
      }));
  outcome.epoch = member.chain().epoch();
  for (const PairedDevice& device : outcome.paired) {
    if (progress) progress({"committed", device.device_id, ""});
  }
  return outcome;
}

}  // namespace keystead::mobile
