#include "device-sim/fleet_metrics.h"

namespace keystead::device_sim {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;

constexpr Metric kDevices = {
    "keystead_device_devices", "Devices of this process: at work, or not joined (yet).", kGauge, {"state"}};
constexpr Metric kConnected = {"keystead_device_connected_devices",
                               "Devices at work whose next hop acknowledges their telemetry.", kGauge};
constexpr Metric kSealed = {
    "keystead_device_sealed_records_total", "Records sealed, by kind of topic.", kCounter, {"topic"}};
constexpr Metric kStreams = {"keystead_device_opened_streams_total",
                             "Streams opened, each under a key of its own.",
                             kCounter,
                             {"topic"}};
constexpr Metric kDurable = {
    "keystead_device_durable_groups_total", "Groups of records that the next hop has.", kCounter, {"topic"}};
constexpr Metric kRefused = {"keystead_device_refused_groups_total",
                             "Refusals by the next hop; a group is tried several times.",
                             kCounter,
                             {"topic"}};
constexpr Metric kLost = {"keystead_device_lost_records_total",
                          "Records given up, for which signed loss reports go out.",
                          kCounter,
                          {"topic"}};
constexpr Metric kJournalGroups = {
    "keystead_device_journal_entries", "Groups in the journals, that no hop has.", kGauge, {"topic"}};
constexpr Metric kJournalBytes = {"keystead_device_journal_bytes", "Bytes of them.", kGauge, {"topic"}};
constexpr Metric kJournalLimit = {
    "keystead_device_journal_limit_bytes",
    "What all journals together may hold before records are lost, the oldest first that no hop was handed.",
    kGauge};
constexpr Metric kCommands = {
    "keystead_device_commands_total", "Commands that were obeyed, or not.", kCounter, {"outcome"}};

void Add(StreamSender::Stats& to, const StreamSender::Stats& from) {
  to.sealed += from.sealed;
  to.groups += from.groups;
  to.durable += from.durable;
  to.journal_entries += from.journal_entries;
  to.journal_bytes += from.journal_bytes;
  to.lost += from.lost;
  to.refused += from.refused;
  to.streams += from.streams;
}

void WriteSender(const StreamSender::Stats& stats, std::string_view topic, MetricWriter& out) {
  out.Value(kSealed, stats.sealed, {topic});
  out.Value(kStreams, stats.streams, {topic});
  out.Value(kDurable, stats.durable, {topic});
  out.Value(kRefused, stats.refused, {topic});
  out.Value(kLost, stats.lost, {topic});
  out.Value(kJournalGroups, stats.journal_entries, {topic});
  out.Value(kJournalBytes, stats.journal_bytes, {topic});
}

}  // namespace

FleetTotals TotalsOf(const std::vector<std::unique_ptr<Device>>& devices) {
  FleetTotals out;
  for (const auto& device : devices) {
    const DeviceTotals totals = device->Totals();
    Add(out.sum.telemetry, totals.telemetry);
    Add(out.sum.state, totals.state);
    out.sum.commands_done += totals.commands_done;
    out.sum.commands_refused += totals.commands_refused;
    out.running += device->running();
    out.connected += device->running() && totals.telemetry.connected;
  }
  return out;
}

void WriteFleetMetrics(const FleetTotals& totals, size_t devices, size_t journal_bytes_each,
                       MetricWriter& out) {
  out.Value(kDevices, totals.running, {"at_work"});
  out.Value(kDevices, devices - totals.running, {"not_joined"});
  out.Value(kConnected, totals.connected);
  WriteSender(totals.sum.telemetry, "telemetry", out);
  WriteSender(totals.sum.state, "state", out);
  out.Value(kJournalLimit, devices * 2 * journal_bytes_each);  // one for each of the two topics
  out.Value(kCommands, totals.sum.commands_done, {"done"});
  out.Value(kCommands, totals.sum.commands_refused, {"refused"});
}

}  // namespace keystead::device_sim
