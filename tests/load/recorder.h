// What became of every record, by tenant and phase. The owner of each call holds the engine's lock.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "tests/load/histogram.h"
#include "tests/load/timeline.h"

namespace keystead::load {

// Counts of records of one tenant. Once a run is over: offered = sent + unsent, and
// sent = acknowledged + refused + lost.
struct RecordCounts {
  uint64_t offered = 0;       // meant to be sent
  uint64_t sent = 0;          // handed to gRPC at least once
  uint64_t acknowledged = 0;  // durable, says the server
  uint64_t refused = 0;       // not stored, says the server: by itself, or it pushed back until the end
  uint64_t lost = 0;          // sent, and at the end the server had said nothing about it
  uint64_t unsent = 0;        // never sent, because the tenant was being held back
  void Add(const RecordCounts& more);
};
nlohmann::json ToJson(const RecordCounts& counts);
// {"RESOURCE_EXHAUSTED": 3}
nlohmann::json CodesToJson(const std::map<int, uint64_t>& by_code);

struct TenantRecord {
  RecordCounts all;
  std::array<uint64_t, kPhases> offered{};               // by when it was meant to be sent
  std::array<uint64_t, kPhases> acknowledged{};          // by when the acknowledgement came: goodput
  std::array<std::map<int, uint64_t>, kPhases> ended;    // calls that the server ended, by status code
  std::array<std::map<int, uint64_t>, kPhases> refused;  // records, by status code
};

struct PhaseRecord {
  Histogram durable;    // microseconds from the intended start to the durable acknowledgement
  Histogram delivered;  // … to the tenant's subscriber
  Histogram late;       // … to the moment at which the generator took the record up
};

class Recorder {
 public:
  static constexpr int64_t kWindowNs = 250'000'000;

  Recorder(const Timeline& timeline, size_t tenants);

  void Offered(size_t tenant, int64_t intended_ns, int64_t now_ns);
  void Sent(size_t tenant, uint64_t records) { tenants_[tenant].all.sent += records; }
  void Acknowledged(size_t tenant, int64_t intended_ns, int64_t now_ns);
  void Refused(size_t tenant, int64_t intended_ns, int64_t now_ns, int code);
  void Lost(size_t tenant, int64_t intended_ns, int64_t now_ns);
  void Unsent(size_t tenant, int64_t intended_ns, int64_t now_ns);
  void Ended(size_t tenant, int64_t now_ns, int code);
  void Delivered(int64_t intended_ns, int64_t now_ns);

  const Timeline& timeline() const { return timeline_; }
  const std::vector<TenantRecord>& tenants() const { return tenants_; }
  const PhaseRecord& Of(Phase phase) const { return phases_[static_cast<size_t>(phase)]; }
  const WindowSeries& windows() const { return windows_; }
  const std::vector<uint64_t>& acknowledged_by_window() const { return window_acknowledged_; }
  RecordCounts Total() const;

 private:
  // A record that has not come through by `now` took at least that long.
  void Took(int64_t intended_ns, int64_t now_ns);

  const Timeline timeline_;
  std::vector<TenantRecord> tenants_;
  std::array<PhaseRecord, kPhases> phases_;
  WindowSeries windows_;
  std::vector<uint64_t> window_acknowledged_;
};

}  // namespace keystead::load
