#include "core/transport/handshake_governor.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace keystead {
namespace {

constexpr absl::Duration kLongestLook = absl::Seconds(1);
constexpr absl::Duration kShortestLook = absl::Milliseconds(1);
constexpr absl::Duration kDropInterval = absl::Milliseconds(100);  // a pass costs what all addresses cost
constexpr char kRest[] = "(further addresses)";

}  // namespace

HandshakeGovernor::HandshakeGovernor(HandshakeLimits limits) : limits_(std::move(limits)) {
  all_.Configure(limits_.all_per_second, 0, absl::ZeroDuration());
  rest_.name = kRest;
  rest_.pending_bound = limits_.pending;
  rest_.places = std::max<size_t>(1, limits_.at_once / 4);
  rest_.bucket.Configure(limits_.per_second, limits_.burst, absl::ZeroDuration());
  for (const AddressRange& range : limits_.balancers) {
    balancers_.push_back(std::make_unique<Address>());
    balancers_.back()->name = range.str();
    balancers_.back()->pending_bound = std::max<size_t>(1, limits_.all_pending / 2);
    balancers_.back()->places = std::max<size_t>(1, limits_.at_once / 2);
  }
}

HandshakeGovernor::Address& HandshakeGovernor::AddressOf(const AddressRange& range, absl::Duration now) {
  for (size_t i = 0; i < balancers_.size(); ++i) {
    if (limits_.balancers[i].Contains(range)) return *balancers_[i];
  }
  if (const auto found = addresses_.find(range); found != addresses_.end()) return *found->second;
  if (addresses_.size() >= limits_.addresses) DropIdle(now);
  // Nobody is forgotten for a newcomer: who has many addresses would make the server forget what he did.
  if (addresses_.size() >= limits_.addresses) return rest_;
  auto fresh = std::make_unique<Address>();
  fresh->name = range.str();
  fresh->pending_bound = limits_.pending;
  fresh->places = rest_.places;
  fresh->bucket.Configure(limits_.per_second, limits_.burst, now);
  return *(addresses_[range] = std::move(fresh));
}

// An idle address is one of which nothing is lost when it is forgotten.
bool HandshakeGovernor::IsIdle(Address& address, absl::Duration now) const {
  return address.pending == 0 && address.refused + address.given_up + address.failed == 0 &&
         address.bucket.IsFull(now) && MayReport(address, now);
}

bool HandshakeGovernor::MayReport(const Address& address, absl::Duration now) const {
  return !address.reported.has_value() || now - *address.reported >= limits_.report_interval;
}

void HandshakeGovernor::DropIdle(absl::Duration now) {
  if (dropped_.has_value() && now - *dropped_ < kDropInterval) return;
  dropped_ = now;
  absl::erase_if(addresses_, [&](const auto& entry) { return IsIdle(*entry.second, now); });
}

bool HandshakeGovernor::Arrive(Id id, const AddressRange& range, absl::Duration now) {
  Address& address = AddressOf(range, now);
  if (connections_.size() >= limits_.all_pending || address.pending >= address.pending_bound ||
      address.bucket.Wait(now) > absl::ZeroDuration()) {
    ++address.refused;
    has_events_ = true;
    return false;
  }
  address.bucket.Take(1);
  ++address.pending;
  Connection& connection = connections_[id];
  connection.address = &address;
  Enter(id, connection, kSilent, now);
  return true;
}

void HandshakeGovernor::Enter(Id id, Connection& connection, State state, absl::Duration now) {
  connection.state = state;
  connection.since = now;
  oldest_[state].emplace(now, id);
}

void HandshakeGovernor::Leave(Id id, const Connection& connection) {
  oldest_[connection.state].erase({connection.since, id});
}

void HandshakeGovernor::Hear(Id id, absl::Duration now) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.state != kSilent) return;
  Connection& connection = found->second;
  Leave(id, connection);
  Enter(id, connection, kWaiting, now);
  if (connection.address->waiting.empty()) turns_.push_back(connection.address);
  connection.address->waiting.push_back(id);
}

std::optional<HandshakeGovernor::Id> HandshakeGovernor::Begin(absl::Duration now) {
  if (turns_.empty() || under_way() >= limits_.at_once || all_.Wait(now) > absl::ZeroDuration())
    return std::nullopt;
  // As many addresses have no place left as have handshakes under way, at most.
  const auto next = std::find_if(turns_.begin(), turns_.end(),
                                 [](const Address* address) { return address->under_way < address->places; });
  if (next == turns_.end()) return std::nullopt;
  Address& address = **next;
  const Id id = address.waiting.front();
  address.waiting.pop_front();
  if (address.waiting.empty()) {
    turns_.erase(next);
  } else {
    turns_.splice(turns_.end(), turns_, next);
  }
  all_.Take(1);
  Connection& connection = connections_[id];
  Leave(id, connection);
  Enter(id, connection, kUnderWay, now);
  ++address.under_way;
  return id;
}

void HandshakeGovernor::Fail(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.state != kUnderWay) return;
  ++found->second.address->failed;
  has_events_ = true;
}

void HandshakeGovernor::End(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const Connection& connection = found->second;
  Address& address = *connection.address;
  Leave(id, connection);
  if (connection.state == kUnderWay) --address.under_way;
  if (connection.state == kWaiting) {
    address.waiting.erase(std::find(address.waiting.begin(), address.waiting.end(), id));
    if (address.waiting.empty()) turns_.remove(&address);
  }
  --address.pending;
  connections_.erase(found);
}

std::optional<HandshakeGovernor::Id> HandshakeGovernor::Overdue(absl::Duration now) {
  const auto give_up = [&](Id id) {
    ++connections_[id].address->given_up;
    has_events_ = true;
    return id;
  };
  for (const State state : {kSilent, kWaiting, kUnderWay}) {
    const absl::Duration bound = state == kSilent ? limits_.silence : limits_.handshake;
    const auto first = oldest_[state].begin();
    if (first != oldest_[state].end() && now - first->first >= bound) return give_up(first->second);
  }
  if (connections_.size() >= limits_.all_pending) {
    if (const auto id = MostDispensable(); id.has_value()) return give_up(*id);
  }
  for (const auto& [since, id] : oldest_[kUnderWay]) {
    if (now - since < limits_.patience) break;
    const bool all_taken = !turns_.empty() && under_way() >= limits_.at_once;
    if (all_taken || !connections_[id].address->waiting.empty()) return give_up(id);
  }
  return std::nullopt;
}

std::optional<HandshakeGovernor::Id> HandshakeGovernor::LongestSilent() const {
  if (oldest_[kSilent].empty()) return std::nullopt;
  return oldest_[kSilent].begin()->second;
}

// Of the address that has most of what it may have; then who says nothing; then who has been there longest.
// So a few addresses that fill all places lose their own, and a newcomer keeps the one that it got.
std::optional<HandshakeGovernor::Id> HandshakeGovernor::MostDispensable() const {
  std::optional<Id> out;
  std::tuple<double, bool, absl::Duration, Id> most;
  for (const auto& [id, connection] : connections_) {
    if (connection.state == kUnderWay) continue;
    const Address& address = *connection.address;
    const std::tuple rank(static_cast<double>(address.pending) / static_cast<double>(address.pending_bound),
                          connection.state == kSilent, -connection.since, -id);
    if (out.has_value() && rank <= most) continue;
    out = id;
    most = rank;
  }
  return out;
}

absl::Duration HandshakeGovernor::NextLook(absl::Duration now) {
  absl::Duration out = kLongestLook;
  const auto sooner = [&](State state, absl::Duration bound) {
    if (!oldest_[state].empty()) out = std::min(out, oldest_[state].begin()->first + bound - now);
  };
  sooner(kSilent, limits_.silence);
  sooner(kWaiting, limits_.handshake);
  sooner(kUnderWay, limits_.handshake);
  // Who is past the others' patience already goes when somebody comes, not when time passes.
  for (const auto& [since, id] : oldest_[kUnderWay]) {
    if (turns_.empty()) break;
    if (since + limits_.patience <= now) continue;
    out = std::min(out, since + limits_.patience - now);
    break;
  }
  if (!turns_.empty() && under_way() < limits_.at_once) {
    const absl::Duration wait = all_.Wait(now);
    if (wait > absl::ZeroDuration()) out = std::min(out, wait);
  }
  return std::max(out, kShortestLook);
}

template <class Visit>
void HandshakeGovernor::EachAddress(const Visit& visit) {
  visit(rest_);
  for (const auto& balancer : balancers_) visit(*balancer);
  for (const auto& [range, address] : addresses_) visit(*address);
}

void HandshakeGovernor::Report(Address& address, absl::Duration now, bool all,
                               std::vector<SecurityEvent>& out) {
  if (const uint64_t failed = std::exchange(address.failed, 0); failed > 0) {
    out.push_back({.kind = SecurityEventKind::kHandshakeFailed,
                   .peer = address.name,
                   .detail = "no certificate, one that TLS does not accept, or the caller left",
                   .count = failed});
  }
  if (address.refused + address.given_up == 0) return;
  if (!all && !MayReport(address, now)) {
    has_events_ = true;  // later
    return;
  }
  SecurityEvent event;
  event.kind = SecurityEventKind::kLimitExceeded;
  event.peer = address.name;
  event.count = address.refused + address.given_up;
  event.detail =
      absl::StrCat("handshakes: connections ended before TLS: ", address.refused,
                   " above what an address may ask for, ", address.given_up, " that did not go on");
  out.push_back(std::move(event));
  address.refused = address.given_up = 0;
  address.reported = now;
}

std::vector<SecurityEvent> HandshakeGovernor::TakeEvents(absl::Duration now, bool all) {
  std::vector<SecurityEvent> out;
  if (!std::exchange(has_events_, false)) return out;
  EachAddress([&](Address& address) { Report(address, now, all, out); });
  return out;
}

}  // namespace keystead
