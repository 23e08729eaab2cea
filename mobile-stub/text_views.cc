#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mobile-stub/members.h"
#include "mobile-stub/views.h"

namespace keystead::mobile {
namespace {

constexpr size_t kAlarmsShown = 6;
constexpr size_t kMaxPendingStreams = 4096;

std::string ValueText(double value) { return std::isnan(value) ? "-" : absl::StrFormat("%.4g", value); }

std::string AgeText(int64_t taken_unix_us) {
  const absl::Duration age = absl::Now() - absl::FromUnixMicros(taken_unix_us);
  if (age < absl::ZeroDuration()) return "0s";
  if (age < absl::Minutes(2)) return absl::StrFormat("%.1fs", absl::ToDoubleSeconds(age));
  return absl::FormatDuration(absl::Floor(age, absl::Seconds(1)));
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(
      out, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

std::string AlarmText(const SecurityEvent& e) {
  std::string where = e.topic;
  if (!e.stream.empty()) absl::StrAppend(&where, " stream ", e.stream.substr(0, 8), " #", e.sequence);
  return absl::StrCat(Absl(SecurityEventName(e.kind)), " ", where, ": ", Printable(e.detail));
}

std::string PlainLines::NameOf(const MemberId& member) const {
  const auto device = devices_.find(member);
  return device == devices_.end() ? member.Short() : device->second;
}

void PlainLines::OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) {
  std::string marks = record.confirmed ? "confirmed" : "pending";
  if (record.replaces) marks += " replaces";
  if (record.filled) marks += " filled";
  if (record.after_removal) marks += " after_removal";
  if (!current) marks += " older_stream";
  for (const v1::Reading& reading : batch.readings()) {
    if (static_cast<int>(reading.channel()) >= batch.channels_size()) continue;
    const v1::Channel& channel = batch.channels(static_cast<int>(reading.channel()));
    std::printf("%s %s %s %s stream %s #%llu %s\n", NameOf(record.place->sender).c_str(),
                Printable(channel.name()).c_str(), ValueText(reading.value()).c_str(),
                Printable(channel.unit()).c_str(), record.place->stream.Short().c_str(),
                static_cast<unsigned long long>(record.sequence), marks.c_str());
  }
  std::fflush(stdout);
  if (record.confirmed) return;
  if (pending_.size() >= kMaxPendingStreams) pending_.clear();
  const auto [oldest, is_new] = pending_.try_emplace(record.place->stream, record.sequence);
  oldest->second = std::min(oldest->second, record.sequence);
}

// Only what was printed as pending before.
void PlainLines::OnConfirmed(const StreamPlace& place, const SequenceRange& range) {
  const auto oldest = pending_.find(place.stream);
  if (oldest == pending_.end() || range.last < oldest->second) return;
  std::printf("confirmed %s stream %s #%llu..%llu\n", NameOf(place.sender).c_str(),
              place.stream.Short().c_str(),
              static_cast<unsigned long long>(std::max(range.first, oldest->second)),
              static_cast<unsigned long long>(range.last));
  std::fflush(stdout);
  oldest->second = range.last + 1;
}

void PlainLines::OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) {
  for (const MemberId& member : members) {
    std::printf("waiting for %s in epoch %llu\n", NameOf(member).c_str(),
                static_cast<unsigned long long>(epoch));
  }
  std::fflush(stdout);
}

void PlainLines::OnMissing(const StreamPlace& place, const SequenceRange& range) {
  std::printf("missing %s stream %s %llu..%llu\n", place.topic.str().c_str(), place.stream.Short().c_str(),
              static_cast<unsigned long long>(range.first), static_cast<unsigned long long>(range.last));
  std::fflush(stdout);
}
void PlainLines::OnDuplicate(const StreamPlace& place, uint64_t sequence) {
  std::printf("duplicate %s stream %s #%llu\n", place.topic.str().c_str(), place.stream.Short().c_str(),
              static_cast<unsigned long long>(sequence));
  std::fflush(stdout);
}
void PlainLines::OnAlarm(const SecurityEvent& event) {
  std::printf("ALARM %s\n", AlarmText(event).c_str());
  std::fflush(stdout);
}
void PlainLines::OnMembership(const MembershipChain& chain) {
  for (const RosterEntry& entry : chain.roster().entries()) devices_[entry.member] = DeviceIdOf(entry);
  std::printf("epoch %llu, %zu members\n", static_cast<unsigned long long>(chain.epoch()),
              chain.roster().entries().size());
  std::fflush(stdout);
}
void PlainLines::OnConnection(bool connected, std::string_view why) {
  std::printf(connected ? "connected\n" : "disconnected: %s\n", Printable(why).c_str());
  std::fflush(stdout);
}

void LiveTable::OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) {
  board_.OnReadings(record, batch, current);
}
void LiveTable::OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) {
  board_.OnWaiting(epoch, members);
}
void LiveTable::OnConfirmed(const StreamPlace& place, const SequenceRange& range) {
  board_.OnConfirmed(place, range);
}
void LiveTable::OnAlarm(const SecurityEvent& event) {
  board_.OnAlarm(event);
  ++alarm_count_;
  alarms_.push_back(AlarmText(event));
  if (alarms_.size() > kAlarmsShown) alarms_.erase(alarms_.begin());
}
void LiveTable::OnMembership(const MembershipChain& chain) {
  epoch_ = chain.epoch();
  board_.OnMembership(chain);
}
void LiveTable::OnState(const std::vector<StreamStatus>& streams) {
  board_.OnState(streams);
  if (redraw_) Draw();
}
void LiveTable::OnConnection(bool connected, std::string_view) { connected_ = connected; }

void LiveTable::Draw() const {
  std::string out = redraw_ ? "\x1b[H\x1b[2J" : "";
  absl::StrAppend(&out, "epoch ", epoch_, connected_ ? "" : "   NOT CONNECTED", "   alarms ", alarm_count_,
                  "\n");
  absl::StrAppendFormat(&out, "%-20s %-14s %10s %-8s %8s  %-8s %-9s %s\n", "device", "channel", "value",
                        "unit", "age", "word", "state", "remarks");
  for (const DeviceRow& row : board_.Rows()) {
    const std::string remarks = Printable(absl::StrJoin(row.flags, ", "));
    if (row.channels.empty()) {
      absl::StrAppendFormat(&out, "%-20s %-14s %10s %-8s %8s  %-8s %-9s %s\n", row.device_id, "-", "-", "",
                            "", row.liveness, "", remarks);
    }
    for (const auto& [name, value] : row.channels) {
      absl::StrAppendFormat(&out, "%-20s %-14s %10s %-8s %8s  %-8s %-9s %s\n", row.device_id,
                            Printable(name).substr(0, 14), ValueText(value.value),
                            Printable(value.unit).substr(0, 8), AgeText(value.taken_unix_us), value.liveness,
                            value.confirmed ? "confirmed" : "pending", remarks);
    }
  }
  for (const std::string& alarm : alarms_) absl::StrAppend(&out, "! ", alarm, "\n");
  std::fwrite(out.data(), 1, out.size(), stdout);
  std::fflush(stdout);
}

}  // namespace keystead::mobile
