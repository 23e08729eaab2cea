#include "infra-sim/observer.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/base/limits.h"
#include "core/transport/group_view.h"

namespace keystead::infra {
namespace {

bool Has(const GroupView& group, const PlaceInTopic& place) {
  const GroupHeader& header = group.header();
  return header.sender == place.sender && header.epoch == place.epoch && header.stream == place.stream &&
         std::any_of(group.records().begin(), group.records().end(),
                     [&](const RecordView& record) { return record.sequence == place.sequence; });
}

// Which of what passed is asked for. The newest are counted by topic, so it is asked from the newest on.
class Wanted {
 public:
  explicit Wanted(const HeldDemand& demand) : demand_(demand) {}

  bool operator()(const Passing& passing) {
    if (!demand_.listener.empty() && passing.listener != demand_.listener) return false;
    const auto view = GroupView::Parse(*passing.group, headers_);
    if (!view.ok()) return false;
    const GroupHeader& header = view->header();
    if (header.tenant != demand_.tenant || header.instantiation != demand_.instantiation) return false;
    if (demand_.topics.empty()) return IsAmongNewest(passing, header.topic.str());
    return std::any_of(demand_.topics.begin(), demand_.topics.end(), [&](const HeldDemand::OfTopic& of) {
      return of.topic == header.topic &&
             std::any_of(of.places.begin(), of.places.end(),
                         [&](const PlaceInTopic& place) { return Has(*view, place); });
    });
  }

 private:
  bool IsAmongNewest(const Passing& passing, const std::string& topic) {
    if (!topic.starts_with(demand_.topic_prefix)) return false;
    topics_.insert(topic);
    if (topics_.size() > limits::kMaxHeldTopics) return false;
    return ++counts_[{passing.listener, std::string(passing.direction), topic}] <= demand_.last;
  }

  const HeldDemand& demand_;
  GroupHeaderCache headers_;
  std::set<std::string> topics_;
  std::map<std::tuple<std::string, std::string, std::string>, size_t> counts_;
};

v1::HeldGroup ToMessage(const Passing& passing) {
  v1::HeldGroup out;
  out.set_group(*passing.group);
  out.set_listener(passing.listener);
  out.set_direction(std::string(passing.direction));
  out.set_not_before_us(absl::ToUnixMicros(passing.seen));
  out.set_not_after_us(absl::ToUnixMicros(passing.seen));
  out.set_attack(passing.attack);
  if (passing.sent == nullptr) return out;
  for (const std::string& sent : *passing.sent) out.add_sent(sent);
  return out;
}

v1::PassedTls ToMessage(const TlsPassing& passing) {
  v1::PassedTls out;
  out.set_listener(passing.listener);
  out.set_direction(std::string(passing.direction));
  out.set_number(passing.number);
  out.set_seen_us(absl::ToUnixMicros(passing.seen));
  out.set_record(*passing.record);
  out.set_attack(passing.attack);
  if (passing.sent == nullptr) return out;
  for (const std::string& sent : *passing.sent) out.add_sent(sent);
  return out;
}

}  // namespace

EquipmentObserver::EquipmentObserver(const PrincipalResolver* resolver, const AttackEngine* engine)
    : engine_(engine),
      executor_(1),
      service_(resolver, &executor_,
               [this](const Principal& caller, const HeldDemand& demand, v1::HeldResponse& response) {
                 return Look(caller, demand, response);
               }) {}

absl::Status EquipmentObserver::Look(const Principal& caller, const HeldDemand& demand,
                                     v1::HeldResponse& response) const {
  if (caller.tenant() != demand.tenant) return NoSuchTenantToObserve(caller);
  HeldAnswer answer(&response, v1::HOLDER_EQUIPMENT);
  for (const TlsPassing& passing : engine_->TlsPassings()) {
    if (!demand.listener.empty() && passing.listener != demand.listener) continue;
    if (!answer.Add(ToMessage(passing))) return absl::OkStatus();
  }
  const std::vector<Passing> passings = engine_->Passings();
  std::vector<const Passing*> wanted;
  Wanted is_wanted(demand);
  std::for_each(passings.rbegin(), passings.rend(), [&](const Passing& passing) {
    if (is_wanted(passing)) wanted.push_back(&passing);
  });
  std::reverse(wanted.begin(), wanted.end());
  for (const Passing* const passing : wanted) {
    if (!answer.Add(ToMessage(*passing))) break;
  }
  return absl::OkStatus();
}

}  // namespace keystead::infra
