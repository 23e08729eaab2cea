#include "mobile-stub/console/console_model.h"

#include <algorithm>

#include "core/base/random.h"
#include "mobile-stub/console/model_json.h"
#include "mobile-stub/members.h"
#include "mobile-stub/taken.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr size_t kMaxCharted = 64;  // channels of a device with a history, as many as the board shows
constexpr size_t kFewestPoints = 20;
constexpr absl::Duration kSameAlarm = absl::Seconds(2);

bool IsRepetition(const SecurityEvent& a, const SecurityEvent& b) {
  return a.kind == b.kind && a.sender == b.sender && a.topic == b.topic && a.peer == b.peer;
}

}  // namespace

ConsoleModel::ConsoleModel(const ModelLimits& limits, KindsFn kinds, const Clock* clock)
    : limits_(limits),
      load_kinds_(std::move(kinds)),
      clock_(*clock),
      generation_(RandomSource::System().NewId<BootId>().ToHex()),
      board_(load_kinds_()) {
  absl::MutexLock lock(&mutex_);
  SetPart(connection_, {{"connected", false}, {"why", ""}, {"since_us", NowMicros()}});
}

int64_t ConsoleModel::NowMicros() const { return absl::ToUnixMicros(clock_.Now()); }

// Changing
// ------------------------------------------------------------------------------------------------------------

void ConsoleModel::Touch(const MemberId& member) {
  Device& device = devices_[member];
  if (std::optional<mobile::DeviceRow> row = board_.Row(member)) device.shown = *std::move(row);
  by_version_.erase({device.version, member});
  device.version = ++version_;
  by_version_.insert({device.version, member});
}

void ConsoleModel::SetPart(Versioned& part, json content) {
  if (part.version > 0 && part.content == content) return;
  part = {++version_, std::move(content)};
}

void ConsoleModel::Heard() { last_word_us_ = NowMicros(); }

void ConsoleModel::Keep(Device& device, const std::string& channel, const Point& point) {
  if (device.history.size() >= kMaxCharted && !device.history.contains(channel)) return;
  std::deque<Point>& points = device.history[channel];
  const auto later = std::ranges::upper_bound(points, point.taken_us, {}, &Point::taken_us);
  points.insert(later, point);
  if (points.size() > limits_.points_per_channel) points.pop_front();
}

void ConsoleModel::OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) {
  absl::MutexLock lock(&mutex_);
  Heard();
  board_.OnReadings(record, batch, current);
  const MemberId& sender = record.place->sender;
  Touch(sender);
  Device& device = devices_[sender];
  for (const v1::Reading& reading : batch.readings()) {
    if (static_cast<int>(reading.channel()) >= batch.channels_size()) continue;
    Keep(device, batch.channels(static_cast<int>(reading.channel())).name(),
         {version_, mobile::TakenUnixMicros(batch, reading), reading.value()});
  }
}

void ConsoleModel::OnRecord(const ReadRecord& record) {
  answers_.Take(record);
  absl::MutexLock lock(&mutex_);
  Heard();
}

void ConsoleModel::OnConfirmed(const StreamPlace& place, const SequenceRange& range) {
  absl::MutexLock lock(&mutex_);
  Heard();
  board_.OnConfirmed(place, range);
  if (devices_.contains(place.sender)) Touch(place.sender);
}

void ConsoleModel::OnAlarm(const SecurityEvent& event) {
  absl::MutexLock lock(&mutex_);
  board_.OnAlarm(event);
  const int64_t now = NowMicros();
  if (!alarms_.empty() && IsRepetition(alarms_.back().event, event) &&
      now - alarms_.back().last_us < absl::ToInt64Microseconds(kSameAlarm)) {
    Alarm& last = alarms_.back();
    last.version = ++version_;
    last.event = event;
    last.last_us = now;
    last.count += event.count;
    return;
  }
  alarms_.push_back({++version_, ++alarm_count_, event, now, now, event.count});
  if (alarms_.size() > limits_.alarms) alarms_.pop_front();
}

void ConsoleModel::OnMembership(const MembershipChain& chain) {
  std::map<MemberId, std::string> kinds = load_kinds_();  // outside the lock: it reads a file
  absl::MutexLock lock(&mutex_);
  board_.LearnKinds(kinds);
  board_.OnMembership(chain);
  if (chain.empty()) return;
  for (uint64_t epoch = 0; epoch <= chain.epoch(); ++epoch) {
    const SignedCommit* commit = chain.At(epoch);
    if (commit == nullptr) continue;
    for (const RosterEntry& entry : commit->body.roster.entries())
      names_[entry.member] = mobile::DeviceIdOf(entry);
  }
  SetPart(membership_, MembershipJson(chain, kinds, self_));
  TouchChanged();
}

void ConsoleModel::OnState(const std::vector<StreamStatus>& streams) {
  absl::MutexLock lock(&mutex_);
  board_.OnState(streams);
  TouchChanged();
}

// Those whose row says something else than when it was looked at last.
void ConsoleModel::TouchChanged() {
  for (const mobile::DeviceRow& row : board_.Rows()) {
    const Device& device = devices_[row.member];
    if (device.version == 0 || device.shown != row) Touch(row.member);
  }
}

void ConsoleModel::OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) {
  absl::MutexLock lock(&mutex_);
  board_.OnWaiting(epoch, members);
  json waiting = json::array();
  for (const MemberId& member : members) {
    waiting.push_back({{"member", member.ToHex()}, {"device", NameOf(member)}});
  }
  SetPart(waiting_, {{"epoch", epoch}, {"members", std::move(waiting)}});
}

void ConsoleModel::OnConnection(bool connected, std::string_view why) {
  absl::MutexLock lock(&mutex_);
  if (connected) Heard();
  if (connection_.content["connected"] == connected) return;
  SetPart(connection_, {{"connected", connected}, {"why", why}, {"since_us", NowMicros()}});
}

void ConsoleModel::SetSelf(const MemberId& self) {
  absl::MutexLock lock(&mutex_);
  self_ = self;
}

void ConsoleModel::SetHome(json facts) {
  absl::MutexLock lock(&mutex_);
  SetPart(home_, std::move(facts));
}

void ConsoleModel::SetChangePending(bool pending) {
  absl::MutexLock lock(&mutex_);
  SetPart(pending_, pending);
}

void ConsoleModel::SetTask(const std::string& id, json task) {
  absl::MutexLock lock(&mutex_);
  SetPart(tasks_[id], std::move(task));
  while (tasks_.size() > limits_.tasks) {
    const auto oldest =
        std::ranges::min_element(tasks_, {}, [](const auto& one) { return one.second.version; });
    tasks_.erase(oldest);
  }
}

// Asked
// ------------------------------------------------------------------------------------------------------------

std::string ConsoleModel::NameOf(const MemberId& member) const {
  const auto name = names_.find(member);
  return name == names_.end() ? member.Short() : name->second;
}

bool ConsoleModel::Knows(const MemberId& member) const {
  absl::MutexLock lock(&mutex_);
  return names_.contains(member);
}

std::string ConsoleModel::DeviceOf(const MemberId& member) const {
  absl::MutexLock lock(&mutex_);
  const auto name = names_.find(member);
  return name == names_.end() ? std::string() : name->second;
}

ConsoleModel::Step ConsoleModel::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  size_t channels = 1;
  for (const auto& [member, device] : devices_) channels += device.history.size();
  const size_t share = std::max(limits_.points_in_snapshot / channels, kFewestPoints);
  return {version_, Changes(0, std::min(share, limits_.points_per_channel))};
}

ConsoleModel::Step ConsoleModel::Since(uint64_t version, absl::Duration patience) const {
  const auto changed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return version_ > version; };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&changed), patience)) return {version, nullptr};
  return {version_, Changes(version, limits_.points_per_channel)};
}

json ConsoleModel::Changes(uint64_t version, size_t points) const {
  json out = {{"generation", generation_},
              {"version", version_},
              {"now_us", NowMicros()},
              {"last_word_us", last_word_us_},
              {"whole", version == 0}};
  const auto part = [&](const char* name, const Versioned& one) {
    if (one.version > version) out[name] = one.content;
  };
  part("home", home_);
  part("membership", membership_);
  part("waiting", waiting_);
  part("connection", connection_);
  part("change_pending", pending_);
  json& devices = out["devices"] = json::array();
  for (auto at = by_version_.rbegin(); at != by_version_.rend() && at->first > version; ++at) {
    json device = DeviceJson(at->second, version, points);
    if (!device.is_null()) devices.push_back(std::move(device));
  }
  json& alarms = out["alarms"] = json::array();
  for (const Alarm& alarm : alarms_) {
    if (alarm.version > version) alarms.push_back(AlarmJson(alarm));
  }
  json& tasks = out["tasks"] = json::array();
  for (const auto& [id, task] : tasks_) {
    if (task.version > version) tasks.push_back(task.content);
  }
  return out;
}

json ConsoleModel::DeviceJson(const MemberId& member, uint64_t version, size_t points) const {
  const Device& device = devices_.at(member);
  if (device.shown.member != member) return nullptr;  // it has written, and who it is was not said yet
  json out = JsonOf(device.shown);
  for (json& channel : out["channels"]) {
    json& added = channel["points"] = json::array();
    const auto history = device.history.find(channel["name"].get_ref<const std::string&>());
    if (history == device.history.end()) continue;
    // The latest ones lie at the end, but what came late may lie anywhere.
    const std::deque<Point>& all = history->second;
    const size_t first = version == 0 && all.size() > points ? all.size() - points : 0;
    for (size_t i = first; i < all.size(); ++i) {
      if (all[i].version > version) added.push_back({all[i].taken_us, NumberOrNull(all[i].value)});
    }
  }
  return out;
}

json ConsoleModel::AlarmJson(const Alarm& alarm) const {
  json out = JsonOf(alarm.event);
  const absl::StatusOr<MemberId> sender = MemberId::FromHex(alarm.event.sender);
  out["device"] = sender.ok() && names_.contains(*sender) ? NameOf(*sender) : "";
  out["id"] = alarm.id;
  out["first_us"] = alarm.first_us;
  out["last_us"] = alarm.last_us;
  out["count"] = alarm.count;
  return out;
}

}  // namespace keystead::console
