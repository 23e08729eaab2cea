#include "tests/load/recorder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"

namespace keystead::load {
namespace {

uint64_t Microseconds(int64_t from_ns, int64_t to_ns) {
  return static_cast<uint64_t>(std::max<int64_t>(to_ns - from_ns, 0)) / 1000;
}

size_t WindowsIn(const Timeline& timeline) {
  const int64_t length = timeline.end() - timeline.bounds.front();
  return static_cast<size_t>((length + Recorder::kWindowNs - 1) / Recorder::kWindowNs);
}

}  // namespace

void RecordCounts::Add(const RecordCounts& more) {
  offered += more.offered;
  sent += more.sent;
  acknowledged += more.acknowledged;
  refused += more.refused;
  lost += more.lost;
  unsent += more.unsent;
}

nlohmann::json ToJson(const RecordCounts& counts) {
  return {{"offered", counts.offered}, {"sent", counts.sent}, {"acknowledged", counts.acknowledged},
          {"refused", counts.refused}, {"lost", counts.lost}, {"unsent", counts.unsent}};
}

nlohmann::json CodesToJson(const std::map<int, uint64_t>& by_code) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [code, count] : by_code)
    out[absl::StatusCodeToString(static_cast<absl::StatusCode>(code))] = count;
  return out;
}

Recorder::Recorder(const Timeline& timeline, size_t tenants)
    : timeline_(timeline),
      tenants_(tenants),
      windows_(timeline.bounds.front(), kWindowNs, WindowsIn(timeline)),
      window_acknowledged_(WindowsIn(timeline)) {}

void Recorder::Offered(size_t tenant, int64_t intended_ns, int64_t now_ns) {
  TenantRecord& record = tenants_[tenant];
  ++record.all.offered;
  const auto phase = timeline_.At(intended_ns);
  if (!phase) return;
  ++record.offered[static_cast<size_t>(*phase)];
  phases_[static_cast<size_t>(*phase)].late.Record(Microseconds(intended_ns, now_ns));
}

void Recorder::Took(int64_t intended_ns, int64_t now_ns) {
  const auto phase = timeline_.At(intended_ns);
  if (!phase) return;
  const uint64_t latency = Microseconds(intended_ns, now_ns);
  phases_[static_cast<size_t>(*phase)].durable.Record(latency);
  windows_.Record(intended_ns, static_cast<uint32_t>(std::min<uint64_t>(latency, UINT32_MAX)));
}

void Recorder::Acknowledged(size_t tenant, int64_t intended_ns, int64_t now_ns) {
  TenantRecord& record = tenants_[tenant];
  ++record.all.acknowledged;
  Took(intended_ns, now_ns);
  const auto phase = timeline_.At(now_ns);
  if (!phase) return;
  ++record.acknowledged[static_cast<size_t>(*phase)];
  const auto window = static_cast<size_t>((now_ns - timeline_.bounds.front()) / kWindowNs);
  if (window < window_acknowledged_.size()) ++window_acknowledged_[window];
}

void Recorder::Refused(size_t tenant, int64_t intended_ns, int64_t now_ns, int code) {
  TenantRecord& record = tenants_[tenant];
  ++record.all.refused;
  Took(intended_ns, now_ns);
  if (const auto phase = timeline_.At(intended_ns)) ++record.refused[static_cast<size_t>(*phase)][code];
}

void Recorder::Lost(size_t tenant, int64_t intended_ns, int64_t now_ns) {
  ++tenants_[tenant].all.lost;
  Took(intended_ns, now_ns);
}

void Recorder::Unsent(size_t tenant, int64_t intended_ns, int64_t now_ns) {
  ++tenants_[tenant].all.unsent;
  Took(intended_ns, now_ns);
}

void Recorder::Ended(size_t tenant, int64_t now_ns, int code) {
  if (const auto phase = timeline_.At(now_ns)) ++tenants_[tenant].ended[static_cast<size_t>(*phase)][code];
}

void Recorder::Delivered(int64_t intended_ns, int64_t now_ns) {
  if (const auto phase = timeline_.At(intended_ns))
    phases_[static_cast<size_t>(*phase)].delivered.Record(Microseconds(intended_ns, now_ns));
}

RecordCounts Recorder::Total() const {
  RecordCounts out;
  for (const TenantRecord& tenant : tenants_) out.Add(tenant.all);
  return out;
}

}  // namespace keystead::load
