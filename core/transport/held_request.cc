#include "core/transport/held_request.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/base/status.h"

namespace keystead {
namespace {

constexpr size_t kMaxTextBytes = 256;  // longer than any topic, or the name of a listener
// Of the message around a group.
constexpr size_t kFramingBytes = 16;
constexpr size_t kMostBytes = limits::kMaxMessageBytes - (64 << 10);

absl::StatusOr<PlaceInTopic> PlaceOf(const v1::RecordPlace& place) {
  PlaceInTopic out{.epoch = place.epoch(), .sequence = place.sequence()};
  KS_ASSIGN_OR_RETURN(out.sender, MemberId::FromBytes(place.sender()));
  KS_ASSIGN_OR_RETURN(out.stream, StreamId::FromBytes(place.stream()));
  return out;
}

absl::Status AddPlace(const v1::RecordPlace& place, std::vector<HeldDemand::OfTopic>& topics) {
  if (place.topic().size() > kMaxTextBytes) return absl::InvalidArgumentError("a topic is too long");
  KS_ASSIGN_OR_RETURN(Topic topic, Topic::Parse(place.topic()));
  KS_ASSIGN_OR_RETURN(const PlaceInTopic in_topic, PlaceOf(place));
  auto at = std::find_if(topics.begin(), topics.end(),
                         [&](const HeldDemand::OfTopic& of) { return of.topic == topic; });
  if (at == topics.end()) at = topics.insert(topics.end(), {.topic = std::move(topic), .places = {}});
  at->places.push_back(in_topic);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<HeldDemand> ParseHeldRequest(const v1::HeldRequest& request) {
  if (request.places_size() > static_cast<int>(limits::kMaxHeldPlaces))
    return absl::InvalidArgumentError("more places than one look may ask for");
  if (request.last() > limits::kMaxHeldGroups)
    return absl::InvalidArgumentError("more groups than one look may ask for");
  if (request.places().empty() && request.last() == 0)
    return absl::InvalidArgumentError("neither places nor how many of the newest groups");
  if (request.topic_prefix().size() > kMaxTextBytes || request.listener().size() > kMaxTextBytes)
    return absl::InvalidArgumentError("a name is too long");
  HeldDemand out;
  KS_ASSIGN_OR_RETURN(out.tenant, TenantName::Parse(request.tenant()));
  KS_ASSIGN_OR_RETURN(out.instantiation, InstantiationId::FromBytes(request.instantiation()));
  for (const v1::RecordPlace& place : request.places()) KS_RETURN_IF_ERROR(AddPlace(place, out.topics));
  out.last = request.last();
  out.topic_prefix = request.topic_prefix();
  out.listener = request.listener();
  return out;
}

HeldAnswer::HeldAnswer(v1::HeldResponse* response, v1::HolderKind holder) : response_(response) {
  response_->set_holder(holder);
}

bool HeldAnswer::Fits(size_t bytes) {
  if (bytes_ + bytes + kFramingBytes > kMostBytes) {
    response_->set_more(true);
    return false;
  }
  bytes_ += bytes + kFramingBytes;
  return true;
}

bool HeldAnswer::Add(v1::HeldGroup group) {
  if (!Fits(group.ByteSizeLong())) return false;
  *response_->add_groups() = std::move(group);
  return true;
}

bool HeldAnswer::Add(v1::PassedTls record) {
  if (!Fits(record.ByteSizeLong())) return false;
  *response_->add_tls() = std::move(record);
  return true;
}

v1::HeldGroup ToHeldGroup(const StoredEntry& entry, absl::Time now) {
  v1::HeldGroup out;
  if (entry.group != nullptr) out.set_group(*entry.group);
  out.set_log_id(entry.log.id.ToString());
  out.set_offset(entry.offset);
  if (entry.not_before != absl::InfinitePast()) out.set_not_before_us(absl::ToUnixMicros(entry.not_before));
  out.set_not_after_us(absl::ToUnixMicros(std::min(entry.not_after, now)));
  return out;
}

absl::Status ForEachHeld(const RecordLog& log, uint32_t tenant, const HeldDemand& demand,
                         const std::function<bool(const StoredEntry&)>& add) {
  const HeldRecords records(log);
  const auto all = [&](const std::vector<StoredEntry>& entries) {
    return std::all_of(entries.begin(), entries.end(), add);
  };
  for (const HeldDemand::OfTopic& of : demand.topics) {
    KS_ASSIGN_OR_RETURN(const auto found, records.At({tenant, demand.instantiation, of.topic}, of.places));
    if (!all(found)) return absl::OkStatus();
  }
  if (!demand.topics.empty()) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const auto topics, log.TopicsOf(tenant, demand.instantiation));
  size_t looked_at = 0;
  for (const RecordLog::NamedLog& named : topics) {
    if (!named.topic.str().starts_with(demand.topic_prefix)) continue;
    if (++looked_at > limits::kMaxHeldTopics) break;
    KS_ASSIGN_OR_RETURN(const auto found,
                        records.Newest({tenant, demand.instantiation, named.topic}, demand.last));
    if (!all(found)) break;
  }
  return absl::OkStatus();
}

}  // namespace keystead
