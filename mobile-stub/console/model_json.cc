#include "mobile-stub/console/model_json.h"

#include <cmath>

#include "mobile-stub/members.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxEpochsShown = 100;

const char* QualityName(v1::Quality quality) {
  switch (quality) {
    case v1::QUALITY_GOOD:
      return "good";
    case v1::QUALITY_UNCERTAIN:
      return "uncertain";
    case v1::QUALITY_BAD:
      return "bad";
    default:
      return "unspecified";
  }
}

json MemberJson(const RosterEntry& entry) {
  return {{"member", entry.member.ToHex()}, {"device", mobile::DeviceIdOf(entry)}};
}

// Who is in `roster` and not in `other`.
json Difference(const Roster& roster, const Roster* other) {
  json out = json::array();
  for (const RosterEntry& entry : roster.entries()) {
    if (other == nullptr || other->Find(entry.member) == nullptr) out.push_back(MemberJson(entry));
  }
  return out;
}

json EpochJson(const SignedCommit& commit, const SignedCommit* before) {
  const Roster& roster = commit.body.roster;
  const Roster* const earlier = before == nullptr ? nullptr : &before->body.roster;
  return {{"epoch", commit.body.epoch},
          {"hash", commit.hash.ToHex()},
          {"parent", commit.body.parent.has_value() ? json(commit.body.parent->ToHex()) : json()},
          {"time", commit.body.time},
          {"members", roster.entries().size()},
          {"added", Difference(roster, earlier)},
          {"removed", earlier == nullptr ? json::array() : Difference(*earlier, &roster)}};
}

}  // namespace

json NumberOrNull(double value) { return std::isfinite(value) ? json(value) : json(); }

json JsonOf(const mobile::DeviceRow& row) {
  json channels = json::array();
  for (const auto& [name, value] : row.channels) {
    channels.push_back({{"name", name},
                        {"unit", value.unit},
                        {"value", NumberOrNull(value.value)},
                        {"quality", QualityName(value.quality)},
                        {"taken_us", value.taken_unix_us},
                        {"confirmed", value.confirmed},
                        {"current", value.current},
                        {"liveness", value.liveness},
                        {"topic", value.topic.str()},
                        {"stream", value.stream.ToHex()},
                        {"epoch", value.epoch},
                        {"sequence", value.sequence}});
  }
  return {{"member", row.member.ToHex()}, {"device", row.device_id},  {"kind", row.kind},
          {"liveness", row.liveness},     {"received", row.received}, {"pending", row.pending},
          {"removed", row.removed},       {"flags", row.flags},       {"channels", std::move(channels)}};
}

json JsonOf(const SecurityEvent& e) {
  return {{"kind", SecurityEventName(e.kind)},
          {"topic", e.topic},
          {"sender", e.sender},
          {"stream", e.stream},
          {"epoch", e.epoch},
          {"sequence", e.sequence},
          {"peer", e.peer},
          {"detail", e.detail}};
}

json MembershipJson(const MembershipChain& chain, const std::map<MemberId, std::string>& kinds,
                    const MemberId& self) {
  json members = json::array();
  for (const RosterEntry& entry : chain.roster().entries()) {
    json one = MemberJson(entry);
    one["kind"] = MemberKindName(entry.kind);
    const auto kind = kinds.find(entry.member);
    one["device_kind"] = kind == kinds.end() ? "" : kind->second;
    one["transport"] = entry.transport;
    one["since_epoch"] = mobile::MemberSince(chain, entry.member);
    one["self"] = entry.member == self;
    one["expires_at"] = entry.expires_at.has_value() ? json(*entry.expires_at) : json();
    json& rights = one["rights"] = json::array();
    for (const Right& right : entry.rights) {
      rights.push_back({{"topic", right.topic.str()}, {"read", right.read}, {"write", right.write}});
    }
    members.push_back(std::move(one));
  }
  json epochs = json::array();
  const uint64_t newest = chain.epoch();
  for (uint64_t epoch = newest < kMaxEpochsShown ? 0 : newest - kMaxEpochsShown + 1; epoch <= newest;
       ++epoch) {
    const SignedCommit* commit = chain.At(epoch);
    if (commit != nullptr) epochs.push_back(EpochJson(*commit, epoch == 0 ? nullptr : chain.At(epoch - 1)));
  }
  return {{"tenant", chain.tenant().str()},
          {"instantiation", chain.id().ToHex()},
          {"epoch", newest},
          {"head", chain.head().hash.ToHex()},
          {"members", std::move(members)},
          {"epochs", std::move(epochs)}};
}

std::string Dump(const json& value) { return value.dump(-1, ' ', true, json::error_handler_t::replace); }

}  // namespace keystead::console
