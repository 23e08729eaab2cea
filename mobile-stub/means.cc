#include "mobile-stub/means.h"

#include <cmath>
#include <set>
#include <tuple>

namespace keystead::mobile {

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
      Mean& mean = means[channel];
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
