#include "mobile-stub/views.h"

#include "core/sealing/command.h"
#include "mobile-stub/members.h"
#include "mobile-stub/taken.h"

namespace keystead::mobile {
namespace {

using nlohmann::json;

std::string Microseconds(int64_t unix_us) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromUnixMicros(unix_us), absl::UTCTimeZone());
}

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

json RecordJson(const ReadRecord& record, const std::string& device) {
  json out = JsonOf(*record.place);
  out["event"] = "record";
  out["device"] = device;
  out["sequence"] = record.sequence;
  out["kind"] = record.kind;
  out["confirmed"] = record.confirmed;
  out["filled"] = record.filled;
  out["replaces"] = record.replaces;
  out["after_removal"] = record.after_removal;
  return out;
}

}  // namespace

void PrintJson(const json& object) {
  const std::string line = object.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

json JsonOf(const StreamPlace& place) {
  return {{"tenant", place.tenant.str()},   {"instantiation", place.id.ToHex()}, {"topic", place.topic.str()},
          {"sender", place.sender.ToHex()}, {"stream", place.stream.ToHex()},    {"epoch", place.epoch}};
}

json JsonOf(const StreamStatus& s) {
  json out = JsonOf(s.place);
  out["liveness"] = LivenessName(s.liveness);
  out["current"] = s.current;
  out["opened"] = s.opened;
  out["ended"] = s.ended;
  out["stale"] = s.stale;
  out["tail_unknown"] = s.tail_unknown;
  out["cloned"] = s.cloned;
  out["broken"] = s.broken;
  out["received"] = s.received;
  out["confirmed"] = s.confirmed;
  out["pending"] = s.pending;
  out["next"] = s.next;
  out["duplicates"] = s.duplicates;
  out["conflicts"] = s.conflicts;
  out["refused"] = s.refused;
  out["missing"] = json::array();
  for (const SequenceRange& range : s.missing) out["missing"].push_back({range.first, range.last});
  out["losses"] = json::array();
  for (const Loss& loss : s.losses) {
    out["losses"].push_back({{"stream", loss.stream.ToHex()},
                             {"first", loss.first_sequence},
                             {"last", loss.last_sequence},
                             {"reason", loss.reason}});
  }
  out["flags"] = FlagsOf(s);
  return out;
}

json JsonOf(const SecurityEvent& e) {
  return {{"event", "alarm"},       {"kind", SecurityEventName(e.kind)},
          {"tenant", e.tenant},     {"instantiation", e.instantiation},
          {"topic", e.topic},       {"sender", e.sender},
          {"stream", e.stream},     {"epoch", e.epoch},
          {"sequence", e.sequence}, {"peer", e.peer},
          {"detail", e.detail}};
}

json JsonOf(const RosterEntry& entry, const MembershipChain& chain) {
  json out = {{"member", entry.member.ToHex()},
              {"device", DeviceIdOf(entry)},
              {"kind", MemberKindName(entry.kind)},
              {"transport", entry.transport},
              {"since_epoch", MemberSince(chain, entry.member)},
              {"rights", json::array()}};
  for (const Right& right : entry.rights) {
    out["rights"].push_back({{"topic", right.topic.str()}, {"read", right.read}, {"write", right.write}});
  }
  out["expires_at"] = entry.expires_at.has_value() ? json(*entry.expires_at) : json();
  return out;
}

json JsonOf(const Throughput& throughput) {
  const Throughput::Summary s = throughput.summary();
  const double seconds = absl::ToDoubleSeconds(s.span);
  const LatencyHistogram& l = throughput.latency();
  json out = {{"event", "summary"},
              {"records", s.records},
              {"readings", s.readings},
              {"plaintext_bytes", s.plaintext_bytes},
              {"seconds", seconds},
              {"confirmed_records", s.confirmed_records},
              {"missing_records", s.missing_records},
              {"duplicates", s.duplicates},
              {"alarms", s.alarms}};
  out["readings_per_second"] = seconds > 0 ? json(static_cast<double>(s.readings) / seconds) : json();
  out["latency_us"] = {{"count", l.count()},
                       {"p50", l.Quantile(0.5)},
                       {"p90", l.Quantile(0.9)},
                       {"p99", l.Quantile(0.99)},
                       {"max", l.max()}};
  return out;
}

json JsonOf(const HeldRecord& record) {
  json out = JsonOf(record.place);
  out["sequence"] = record.sequence;
  out["offset"] = record.offset;
  out["bytes"] = record.cose.size();
  out["kid"] = ToHex(record.kid);
  out["cose"] = ToHex(record.cose);
  return out;
}

std::string JsonEvents::DeviceOf(const MemberId& member) const {
  const auto at = devices_.find(member);
  return at == devices_.end() ? member.Short() : at->second;
}

void JsonEvents::OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) {
  json out = RecordJson(record, DeviceOf(record.place->sender));
  out["current"] = current;
  json& readings = out["readings"] = json::array();
  for (const v1::Reading& reading : batch.readings()) {
    json one = {{"value", reading.value()},
                {"quality", QualityName(reading.quality())},
                {"taken", Microseconds(TakenUnixMicros(batch, reading))}};
    if (static_cast<int>(reading.channel()) < batch.channels_size()) {
      const v1::Channel& channel = batch.channels(static_cast<int>(reading.channel()));
      one["channel"] = channel.name();
      one["unit"] = channel.unit();
    }
    if (!reading.opaque().empty()) one["opaque_bytes"] = reading.opaque().size();
    readings.push_back(std::move(one));
  }
  PrintJson(out);
}

void JsonEvents::OnRecord(const ReadRecord& record) {
  json out = RecordJson(record, DeviceOf(record.place->sender));
  if (record.kind == kinds::kAnswer) {
    if (const absl::StatusOr<Answer> answer = ParseAnswer(record.body); answer.ok()) {
      out["answer"] = {{"command", answer->command_hash.ToHex()},
                       {"result", CommandResultName(answer->result)},
                       {"counter", answer->counter},
                       {"detail", answer->detail}};
    }
  }
  PrintJson(out);
}

void JsonEvents::RangeEvent(const char* event, const StreamPlace& place, const SequenceRange& range) {
  json out = JsonOf(place);
  out["event"] = event;
  out["device"] = DeviceOf(place.sender);
  out["first"] = range.first;
  out["last"] = range.last;
  PrintJson(out);
}
void JsonEvents::OnConfirmed(const StreamPlace& place, const SequenceRange& range) {
  RangeEvent("confirmed", place, range);
}
void JsonEvents::OnMissing(const StreamPlace& place, const SequenceRange& range) {
  RangeEvent("missing", place, range);
}

void JsonEvents::OnDuplicate(const StreamPlace& place, uint64_t sequence) {
  json out = JsonOf(place);
  out["event"] = "duplicate";
  out["device"] = DeviceOf(place.sender);
  out["sequence"] = sequence;
  PrintJson(out);
}

void JsonEvents::OnAlarm(const SecurityEvent& event) {
  json out = JsonOf(event);
  out["time"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  PrintJson(out);
}

void JsonEvents::Learn(const MembershipChain& chain) {
  devices_.clear();
  for (uint64_t epoch = 0; epoch <= chain.epoch(); ++epoch) {
    const SignedCommit* commit = chain.At(epoch);
    if (commit == nullptr) continue;
    for (const RosterEntry& entry : commit->body.roster.entries()) devices_[entry.member] = DeviceIdOf(entry);
  }
}

void JsonEvents::OnMembership(const MembershipChain& chain) {
  Learn(chain);
  json members = json::array();
  for (const RosterEntry& entry : chain.roster().entries()) members.push_back(JsonOf(entry, chain));
  PrintJson({{"event", "membership"},
             {"tenant", chain.tenant().str()},
             {"instantiation", chain.id().ToHex()},
             {"epoch", chain.epoch()},
             {"members", std::move(members)}});
}

void JsonEvents::OnState(const std::vector<StreamStatus>& streams) {
  for (const StreamStatus& stream : streams) {
    json out = JsonOf(stream);
    out["event"] = "state";
    out["device"] = DeviceOf(stream.place.sender);
    std::string text = out.dump();
    std::string& before = states_[stream.place.stream];
    if (text == before) continue;
    before = std::move(text);
    PrintJson(out);
  }
}

void JsonEvents::OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) {
  json waiting = json::array();
  for (const MemberId& member : members) waiting.push_back(DeviceOf(member));
  PrintJson({{"event", "waiting"}, {"epoch", epoch}, {"waiting", waiting}});
}

void JsonEvents::OnConnection(bool connected, std::string_view why) {
  PrintJson({{"event", "connection"}, {"connected", connected}, {"why", why}});
}

}  // namespace keystead::mobile
