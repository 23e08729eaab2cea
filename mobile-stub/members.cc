#include "mobile-stub/members.h"

#include <algorithm>
#include <set>

#include "core/base/status.h"
#include "core/identity/spiffe_id.h"

namespace keystead::mobile {

std::string DeviceIdOf(const RosterEntry& entry) {
  const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(entry.transport);
  return id.ok() ? id->id() : entry.member.Short();
}

std::string DeviceIdOf(const MembershipChain& chain, const MemberId& member) {
  const RosterEntry* entry = chain.empty() ? nullptr : chain.LastKnown(member);
  return entry == nullptr ? member.Short() : DeviceIdOf(*entry);
}

absl::StatusOr<MemberId> FindMember(const MembershipChain& chain, std::string_view name) {
  if (chain.empty()) return absl::FailedPreconditionError("there are no members yet: run 'pair' first");
  std::vector<const RosterEntry*> by_device;
  std::vector<const RosterEntry*> by_prefix;
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const RosterEntry& entry : chain.roster().entries()) {
    if (DeviceIdOf(entry) == name) by_device.push_back(&entry);
    if (lower.size() >= 4 && entry.member.ToHex().starts_with(lower)) by_prefix.push_back(&entry);
  }
  const auto& found = by_device.empty() ? by_prefix : by_device;
  if (found.size() == 1) return found.front()->member;
  std::string known;
  const auto list = [&](const RosterEntry& e) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", DeviceIdOf(e), " (", e.member.Short(), ")");
  };
  if (found.empty()) {
    for (const RosterEntry& entry : chain.roster().entries()) list(entry);
    return absl::InvalidArgumentError(
        absl::StrCat("there is no member '", Absl(name), "' here; members: ", known));
  }
  for (const RosterEntry* entry : found) list(*entry);
  return absl::InvalidArgumentError(absl::StrCat("'", Absl(name), "' fits several members: ", known));
}

std::vector<Topic> ReadableTopics(const MembershipChain& chain, const MemberId& self, size_t max) {
  std::vector<Topic> out;
  const RosterEntry* const own = chain.empty() ? nullptr : chain.roster().Find(self);
  if (own == nullptr) return out;
  std::set<Topic> known;
  for (uint64_t epoch = chain.epoch() + 1; epoch-- > 0;) {
    const SignedCommit* commit = chain.At(epoch);
    if (commit == nullptr) continue;
    for (const RosterEntry& entry : commit->body.roster.entries()) {
      for (const Right& right : entry.rights) {
        const bool wanted =
            right.topic.kind() == TopicKind::kTelemetry || right.topic.kind() == TopicKind::kState;
        if (!right.write || !wanted || !chain.roster().MayRead(*own, right.topic)) continue;
        if (out.size() >= max || !known.insert(right.topic).second) continue;
        out.push_back(right.topic);
      }
    }
  }
  return out;
}

std::vector<MemberId> Writers(const Roster& roster) {
  std::vector<MemberId> out;
  for (const RosterEntry& entry : roster.entries()) {
    if (std::ranges::any_of(
            entry.rights, [](const Right& r) { return r.write && r.topic.kind() != TopicKind::kCommand; })) {
      out.push_back(entry.member);
    }
  }
  return out;
}

std::vector<MemberId> NotYetUnderNewKeys(const MembershipChain& chain, const MemberId& self,
                                         const std::vector<StreamStatus>& streams) {
  const RosterEntry* const own = chain.empty() ? nullptr : chain.roster().Find(self);
  if (own == nullptr) return {};
  std::vector<MemberId> waiting = Writers(chain.roster());
  std::erase_if(waiting, [&](const MemberId& writer) {
    return !chain.roster().MayRead(*own, Topic::Of(TopicKind::kTelemetry, writer)) &&
           !chain.roster().MayRead(*own, Topic::Of(TopicKind::kState, writer));
  });
  for (const StreamStatus& s : streams) {
    if (s.opened && s.place.epoch == chain.epoch()) std::erase(waiting, s.place.sender);
  }
  return waiting;
}

std::vector<std::pair<Topic, MemberId>> SendersOf(const Roster& roster) {
  std::vector<std::pair<Topic, MemberId>> out;
  for (const RosterEntry& entry : roster.entries()) {
    for (const Right& right : entry.rights) {
      if (right.write) out.emplace_back(right.topic, entry.member);
    }
  }
  return out;
}

uint64_t MemberSince(const MembershipChain& chain, const MemberId& member) {
  uint64_t since = 0;
  bool belonged = false;
  for (uint64_t epoch = 0; epoch <= chain.epoch(); ++epoch) {
    const SignedCommit* commit = chain.At(epoch);
    const bool belongs = commit != nullptr && commit->body.roster.Find(member) != nullptr;
    if (belongs && !belonged) since = epoch;
    belonged = belongs;
  }
  return since;
}

}  // namespace keystead::mobile
