#include "mobile-stub/means.h"

#include <cmath>
#include <set>
#include <tuple>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "mobile-stub/members.h"

namespace keystead::mobile {

absl::StatusOr<std::pair<std::string, Plausible>> Plausible::Parse(std::string_view text) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", Absl(text), "' is not of the form NAME=LEAST..MOST UNIT, as temperature=-40..125 Cel"));
  };
  const size_t name = text.find('=');
  const size_t dots = name == std::string_view::npos ? name : text.find("..", name);
  const size_t unit = dots == std::string_view::npos ? dots : text.find(' ', dots);
  if (name == 0 || unit == std::string_view::npos || unit + 1 == text.size()) return wrong();
  Plausible out;
  out.unit = std::string(text.substr(unit + 1));
  if (!absl::SimpleAtod(Absl(text.substr(name + 1, dots - name - 1)), &out.least) ||
      !absl::SimpleAtod(Absl(text.substr(dots + 2, unit - dots - 2)), &out.most) ||
      !(out.least <= out.most)) {
    return wrong();
  }
  return std::pair(std::string(text.substr(0, name)), std::move(out));
}

void Means::OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) {
  if (!current) return;  // of a stream that its sender has left
  Values values;
  for (const v1::Reading& reading : batch.readings()) {
    if (reading.channel() >= static_cast<uint32_t>(batch.channels_size())) continue;
    const v1::Channel& channel = batch.channels(static_cast<int>(reading.channel()));
    values[{channel.name(), channel.unit()}] = {
        record.place->stream, record.sequence, reading.value(),
        reading.quality() == v1::QUALITY_GOOD && std::isfinite(reading.value())};
  }
  if (record.confirmed) return Note(record.place->sender, values);
  std::map<uint64_t, Values>& waiting = pending_[record.place->stream];
  waiting[record.sequence] = std::move(values);
  if (waiting.size() > kMaxPending) waiting.erase(waiting.begin());
}

void Means::OnConfirmed(const StreamPlace& place, const SequenceRange& range) {
  const auto stream = pending_.find(place.stream);
  if (stream == pending_.end()) return;
  const auto first = stream->second.lower_bound(range.first);
  const auto end = stream->second.upper_bound(range.last);
  for (auto record = first; record != end; ++record) Note(place.sender, record->second);
  stream->second.erase(first, end);
}

void Means::Note(const MemberId& member, const Values& values) {
  Values& newest = confirmed_[member];
  for (const auto& [channel, value] : values) {
    Value& known = newest[channel];
    if (known.stream != value.stream || known.sequence <= value.sequence) known = value;
  }
}

void Means::OnMembership(const MembershipChain& chain) {
  for (const RosterEntry& entry : chain.roster().entries()) devices_[entry.member] = DeviceIdOf(entry);
  std::erase_if(confirmed_, [&](const auto& member) { return chain.roster().Find(member.first) == nullptr; });
}

void Means::OnState(const std::vector<StreamStatus>& streams) {
  std::set<StreamId> live;
  std::set<StreamId> known;
  for (const StreamStatus& s : streams) {
    known.insert(s.place.stream);
    if (s.current && !s.ended && s.liveness == Liveness::kLive) live.insert(s.place.stream);
  }
  std::erase_if(pending_, [&](const auto& stream) { return !known.contains(stream.first); });
  std::map<Channel, Mean> means;
  for (const auto& [member, values] : confirmed_) {
    for (const auto& [channel, value] : values) {
      const auto possible = plausible_.find(channel.first);
      const bool declared = possible != plausible_.end();
      Mean& mean = means[declared ? Channel(channel.first, possible->second.unit) : channel];
      const bool fits = !declared || MutantActive(Mutant::kRangeCheckRemoved) ||
                        (channel.second == possible->second.unit && possible->second.least <= value.value &&
                         value.value <= possible->second.most);
      if (value.good && !fits) {
        mean.implausible.push_back(devices_[member]);
        continue;
      }
      if (!value.good || !live.contains(value.stream)) {
        ++mean.left_out;
        continue;
      }
      ++mean.members;
      mean.value += (value.value - mean.value) / static_cast<double>(mean.members);
    }
  }
  for (auto& [channel, mean] : means) {
    std::tie(mean.channel, mean.unit) = channel;
    mean.alarms = alarms_;
    if (mean.members > 0) tell_(mean);
  }
}

}  // namespace keystead::mobile
