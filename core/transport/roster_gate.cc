#include "core/transport/roster_gate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/identity/peer_event.h"
#include "core/observe/security_event.h"

namespace keystead {
namespace {

bool IsOfTenant(const Principal& principal, const TenantName& tenant) { return principal.tenant() == tenant; }

// The mutants' holes. Where the tenant is not compared, apps and gateways of any tenant are let in, as if the
// roster had been looked up under their own; where the roster is ignored, everybody of the tenant is.
bool LetInByMutant(const Principal& principal, const TenantName& tenant) {
  if (MutantActive(Mutant::kRosterIgnored)) return IsOfTenant(principal, tenant);
  return MutantActive(Mutant::kTenantFilterOff) && !IsOfTenant(principal, tenant) &&
         (principal.role() == Role::kApp || principal.role() == Role::kGateway);
}

absl::Time TermOf(const RosterEntry& entry) {
  return entry.expires_at.has_value() ? absl::FromUnixSeconds(*entry.expires_at) : absl::InfiniteFuture();
}

bool Names(const RosterEntry& entry, const Topic& topic) {
  return std::any_of(entry.rights.begin(), entry.rights.end(),
                     [&](const Right& right) { return right.topic == topic; });
}

// A topic of somebody who is or was a member; one with a group, only if a right names it.
bool IsKnownTopic(const MembershipChain& chain, const Topic& topic) {
  if (!topic.is_sealed()) return true;
  const RosterEntry* const writer = chain.LastKnown(topic.member());
  if (writer == nullptr) return false;
  if (topic.group().empty() || Names(*writer, topic)) return true;
  const auto& entries = chain.roster().entries();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const RosterEntry& entry) { return Names(entry, topic); });
}

SecurityEvent EventOf(const MembershipChain& chain, const Principal& principal, const absl::Status& why) {
  SecurityEvent event;
  event.kind = SecurityEventKind::kNotPermitted;
  event.tenant = chain.tenant().str();
  event.instantiation = chain.id().ToHex();
  event.peer = principal.uri();
  event.detail = std::string(why.message());
  return event;
}

void ReportGroup(const MembershipChain& chain, const Principal& principal, const GroupView& group,
                 const absl::Status& why) {
  SecurityEvent event = EventOf(chain, principal, why);
  const GroupHeader& header = group.header();
  event.topic = header.topic.str();
  event.sender = header.sender.ToHex();
  event.stream = header.stream.ToHex();
  event.epoch = header.epoch;
  event.sequence = group.first_sequence();
  absl::StrAppend(&event.detail, "; records ", group.first_sequence(), "..", group.last_sequence());
  Report(event);
}

}  // namespace

absl::Status NoSuchInstantiation() { return absl::NotFoundError("no such instantiation for this caller"); }
absl::Status NoSuchInstantiation(const Principal& peer, std::string_view what) {
  ReportPeer(SecurityEventKind::kNotPermitted, peer, what);
  return NoSuchInstantiation();
}

RosterGate::RosterGate(std::shared_ptr<const MembershipChain> chain, const RosterGateOptions& options)
    : options_(options), chain_(std::move(chain)) {}

void RosterGate::SetChain(std::shared_ptr<const MembershipChain> chain) {
  chain_ = std::move(chain);
  remembered_.clear();
}

void RosterGate::EpochEnded(uint64_t epoch, absl::Time at) {
  ended_[epoch] = at;
  remembered_.clear();
}

void RosterGate::Evict(const Digest& device_ckt) {
  evicted_.insert(device_ckt);
  remembered_.clear();
}

void RosterGate::Readmit(const Digest& device_ckt) {
  evicted_.erase(device_ckt);
  remembered_.clear();
}

absl::Time RosterGate::EndOf(uint64_t epoch) const {
  if (const auto at = ended_.find(epoch); at != ended_.end()) return at->second;
  const SignedCommit* const next = chain_->At(epoch + 1);
  return next == nullptr ? absl::InfinitePast() : absl::FromUnixSeconds(next->body.time);
}

absl::Status RosterGate::CheckMember(const RosterEntry& entry, absl::Time now) const {
  if (TermOf(entry) <= now) return absl::PermissionDeniedError("the member's term is over");
  if (!evicted_.empty() && !entry.ik.empty() && evicted_.contains(entry.ckt()))
    return absl::PermissionDeniedError("the device belongs to another instantiation now");
  return absl::OkStatus();
}

RosterGate::Decision RosterGate::DecideSender(const GroupHeader& header, bool own_connection) const {
  const absl::Time now = options_.clock->Now();
  absl::Time until = absl::InfiniteFuture();
  if (header.epoch > chain_->epoch()) {
    if (options_.wait_for_next_epoch && own_connection && header.epoch == chain_->epoch() + 1)
      return {absl::UnavailableError("the commit of this epoch has not come here yet"), now};
    return {absl::FailedPreconditionError("epoch is not known")};
  }
  const SignedCommit* const commit = chain_->At(header.epoch);
  if (commit == nullptr) return {absl::FailedPreconditionError("epoch is not known")};
  if (header.epoch < chain_->epoch()) {
    until = EndOf(header.epoch) + options_.drain;
    if (until <= now) return {absl::FailedPreconditionError("epoch is over")};
  }
  const RosterEntry* const then = commit->body.roster.Find(header.sender);
  if (then == nullptr) return {absl::PermissionDeniedError("sender is not a member in this epoch")};
  if (!commit->body.roster.MayWrite(*then, header.topic))
    return {absl::PermissionDeniedError("sender may not write this topic")};
  // An owner may write any topic, and so may who carries for it put its record into any: one of nobody at
  // least takes none, in which it would be missed only once its stream is named in the next one's opening.
  if (header.topic.is_sealed() && commit->body.roster.Find(header.topic.member()) == nullptr)
    return {absl::PermissionDeniedError("the topic is of nobody who is a member in this epoch")};
  // A term may have been changed since; the newest word on it counts.
  const RosterEntry* const newest = chain_->roster().Find(header.sender);
  const RosterEntry& term_of = newest == nullptr ? *then : *newest;
  if (absl::Status status = CheckMember(term_of, now); !status.ok()) return {std::move(status)};
  return {absl::OkStatus(), std::min(until, TermOf(term_of))};
}

RosterGate::Decision RosterGate::Decide(const Principal& principal, const GroupHeader& header) const {
  if (LetInByMutant(principal, chain_->tenant())) return {absl::OkStatus()};
  if (!IsOfTenant(principal, header.tenant) || header.tenant != chain_->tenant() ||
      header.instantiation != chain_->id())
    return {NoSuchInstantiation()};
  // Who is connected counts by the present roster: what was removed has no connection any more.
  const RosterEntry* const peer = chain_->roster().FindByTransport(principal.uri());
  if (peer == nullptr) return {NoSuchInstantiation()};
  const bool own_connection = peer->member == header.sender;
  if (!own_connection && !Roster::MayCarry(*peer))
    return {absl::PermissionDeniedError("peer is neither the sender nor a courier")};
  if (absl::Status status = CheckMember(*peer, options_.clock->Now()); !status.ok())
    return {std::move(status)};
  if (header.stream == StreamId()) return {absl::InvalidArgumentError("a published group has no stream")};
  Decision decision = DecideSender(header, own_connection);
  decision.until = std::min(decision.until, TermOf(*peer));
  return decision;
}

absl::Status RosterGate::MayPublish(const Principal& principal, const GroupView& group) {
  const GroupHeader* const header = group.shared_header().get();
  auto found = remembered_.find(header);
  if (found == remembered_.end() || found->second.decision.until <= options_.clock->Now() ||
      found->second.peer != principal.uri()) {
    if (remembered_.size() >= options_.max_remembered) remembered_.clear();
    Remembered remembered{group.shared_header(), principal.uri(), Decide(principal, *header)};
    found = remembered_.insert_or_assign(header, std::move(remembered)).first;
  }
  const absl::Status& status = found->second.decision.status;
  if (!status.ok() && !absl::IsUnavailable(status)) ReportGroup(*chain_, principal, group, status);
  return status;
}

absl::Status RosterGate::CheckTopic(const RosterEntry& reader, const Topic& topic) const {
  if (!chain_->roster().MayRead(reader, topic) && !Roster::MayCarry(reader))
    return absl::PermissionDeniedError("member may not read this topic");
  if (!IsKnownTopic(*chain_, topic)) return absl::NotFoundError("nobody writes this topic");
  return absl::OkStatus();
}

absl::Status RosterGate::StillMayRead(const Principal& principal, std::span<const Topic> topics) const {
  if (LetInByMutant(principal, chain_->tenant())) return absl::OkStatus();
  if (!IsOfTenant(principal, chain_->tenant())) return NoSuchInstantiation();
  const RosterEntry* const reader = chain_->roster().FindByTransport(principal.uri());
  if (reader == nullptr) return NoSuchInstantiation();
  KS_RETURN_IF_ERROR(CheckMember(*reader, options_.clock->Now()));
  for (const Topic& topic : topics) KS_RETURN_IF_ERROR(CheckTopic(*reader, topic));
  return absl::OkStatus();
}

absl::Status RosterGate::MaySubscribe(const Principal& principal, std::span<const Topic> topics) const {
  absl::Status status = StillMayRead(principal, topics);
  if (!status.ok()) {
    SecurityEvent event = EventOf(*chain_, principal, status);
    if (topics.size() == 1) event.topic = topics.front().str();
    Report(event);
  }
  return status;
}

absl::Time RosterGate::NextExpiry(absl::Time now) const {
  absl::Time next = absl::InfiniteFuture();
  for (const RosterEntry& entry : chain_->roster().entries()) {
    if (const absl::Time term = TermOf(entry); term > now) next = std::min(next, term);
  }
  return next;
}

}  // namespace keystead
