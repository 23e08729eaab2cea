#include "mobile-stub/device_board.h"

#include <algorithm>

#include "mobile-stub/members.h"
#include "mobile-stub/taken.h"

namespace keystead::mobile {
namespace {

constexpr size_t kMaxChannels = 64;  // per device, shown

void AddFlag(std::vector<std::string>& flags, std::string flag) {
  if (std::ranges::find(flags, flag) == flags.end()) flags.push_back(std::move(flag));
}

}  // namespace

std::vector<std::string> FlagsOf(const StreamStatus& stream) {
  std::vector<std::string> flags;
  for (const SequenceRange& range : stream.missing) {
    if (flags.size() >= 4) break;
    flags.push_back(absl::StrCat("missing ", range.first, "..", range.last));
  }
  if (stream.conflicts > 0) flags.emplace_back("conflict");
  if (stream.stale) flags.emplace_back("stale");
  if (stream.tail_unknown) flags.emplace_back("tail unknown");
  if (stream.cloned) flags.emplace_back("cloned or rolled back");
  if (stream.broken) flags.emplace_back("contradicted");
  for (const Loss& loss : stream.losses) {
    if (flags.size() >= 8) break;
    flags.push_back(
        absl::StrCat("lost ", loss.first_sequence, "..", loss.last_sequence, " (", loss.reason, ")"));
  }
  return flags;
}

// A hop chooses the order in which streams come: an older one, held back, takes no place of a newer one.
void DeviceBoard::Take(ChannelValue& value, bool is_new, const ReadRecord& record, const v1::Channel& channel,
                       const v1::Reading& reading, int64_t taken, bool current) {
  const StreamPlace& place = *record.place;
  const bool same = value.stream == place.stream && value.topic == place.topic;
  if (!is_new && same && record.sequence < value.sequence) return;  // a gap that closed late
  if (!is_new && !same && !current && (value.current || taken < value.taken_unix_us)) return;
  const std::string liveness = same ? value.liveness : "history";
  value = {channel.unit(), reading.value(), reading.quality(), taken,       record.confirmed, current,
           liveness,       place.topic,     place.stream,      place.epoch, record.sequence};
}

void DeviceBoard::OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) {
  Device& device = devices_[record.place->sender];
  // The newest of each channel is enough.
  uint64_t seen = 0;
  for (int i = batch.readings_size() - 1; i >= 0; --i) {
    const v1::Reading& reading = batch.readings(i);
    if (reading.channel() >= kMaxChannels || static_cast<int>(reading.channel()) >= batch.channels_size())
      continue;
    if ((seen >> reading.channel() & 1) != 0) continue;
    seen |= uint64_t{1} << reading.channel();
    const v1::Channel& channel = batch.channels(static_cast<int>(reading.channel()));
    if (device.row.channels.size() >= kMaxChannels && !device.row.channels.contains(channel.name())) continue;
    const auto [value, is_new] = device.row.channels.try_emplace(channel.name());
    Take(value->second, is_new, record, channel, reading, TakenUnixMicros(batch, reading), current);
  }
}

void DeviceBoard::OnConfirmed(const StreamPlace& place, const SequenceRange& range) {
  const auto device = devices_.find(place.sender);
  if (device == devices_.end()) return;
  for (auto& [name, value] : device->second.row.channels) {
    if (value.stream != place.stream || value.topic != place.topic || value.sequence < range.first ||
        value.sequence > range.last)
      continue;
    value.confirmed = true;
  }
}

void DeviceBoard::OnAlarm(const SecurityEvent& event) {
  if (event.kind != SecurityEventKind::kProviderRolledBack) return;
  const absl::StatusOr<MemberId> sender = MemberId::FromHex(event.sender);
  if (sender.ok()) devices_[*sender].provider_rolled_back = true;
}

void DeviceBoard::OnMembership(const MembershipChain& chain) {
  const std::vector<MemberId> writers = Writers(chain.roster());
  for (const MemberId& member : writers) devices_[member];
  for (auto& [member, device] : devices_) {
    device.row.member = member;
    device.row.device_id = DeviceIdOf(chain, member);
    const auto kind = kinds_.find(member);
    if (kind != kinds_.end()) device.row.kind = kind->second;
    device.row.removed = chain.roster().Find(member) == nullptr;
    device.writes = device.row.removed || std::ranges::find(writers, member) != writers.end();
  }
}

void DeviceBoard::OnState(const std::vector<StreamStatus>& streams) {
  for (auto& [member, device] : devices_) {
    device.row.liveness = "history";
    device.row.received = device.row.pending = 0;
    device.row.flags.clear();
    if (device.row.removed) device.row.flags.emplace_back("after removal");
    if (device.provider_rolled_back) device.row.flags.emplace_back("provider rolled back");
    if (device.waited_for) device.row.flags.emplace_back("waiting for it under new keys");
    for (auto& [name, value] : device.row.channels) {
      value.liveness = "history";
      value.current = false;
    }
  }
  std::map<MemberId, Liveness> best;
  for (const StreamStatus& stream : streams) {
    const auto device = devices_.find(stream.place.sender);
    if (device == devices_.end()) continue;
    DeviceRow& row = device->second.row;
    for (std::string& flag : FlagsOf(stream)) AddFlag(row.flags, std::move(flag));
    if (!stream.current) continue;
    for (auto& [name, value] : row.channels) {
      if (value.stream != stream.place.stream || value.topic != stream.place.topic) continue;
      value.liveness = std::string(LivenessName(stream.liveness));
      value.current = true;
    }
    row.received += stream.received;
    row.pending += stream.pending;
    Liveness& liveness = best[stream.place.sender];
    liveness = std::max(liveness, stream.liveness);
    row.liveness = std::string(LivenessName(liveness));
  }
}

void DeviceBoard::OnWaiting(uint64_t, const std::vector<MemberId>& members) {
  for (auto& [member, device] : devices_) {
    device.waited_for = std::ranges::find(members, member) != members.end();
  }
}

std::vector<DeviceRow> DeviceBoard::Rows() const {
  std::vector<DeviceRow> rows;
  for (const auto& [member, device] : devices_) {
    if (device.writes) rows.push_back(device.row);
  }
  std::ranges::sort(rows, {}, &DeviceRow::device_id);
  return rows;
}

std::optional<DeviceRow> DeviceBoard::Row(const MemberId& member) const {
  const auto device = devices_.find(member);
  if (device == devices_.end() || !device->second.writes) return std::nullopt;
  return device->second.row;
}

}  // namespace keystead::mobile
