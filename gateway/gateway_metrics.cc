#include "gateway/gateway_metrics.h"

namespace keystead::gateway {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;

constexpr Metric kQueueEntries = {"keystead_gateway_queue_entries",
                                  "Groups of records that the next hop does not have yet.", kGauge};
constexpr Metric kQueueBytes = {"keystead_gateway_queue_bytes", "Bytes of them.", kGauge};
constexpr Metric kQueueLimit = {"keystead_gateway_queue_limit_bytes",
                                "What may wait; telemetry gets seven eighths of it.", kGauge};
constexpr Metric kQueueAge = {"keystead_gateway_queue_age_seconds",
                              "How long the oldest of them has waited; 0: none waits.", kGauge};
constexpr Metric kInFlight = {"keystead_gateway_in_flight_bytes", "Sent and not acknowledged.", kGauge};
constexpr Metric kForwarded = {"keystead_gateway_forwarded_groups_total", "Groups that the next hop has.",
                               kCounter};
constexpr Metric kRetried = {"keystead_gateway_retried_groups_total",
                             "Groups that the next hop refused and that went once more.", kCounter};
constexpr Metric kParked = {"keystead_gateway_parked_groups_total",
                            "Groups given up because the next hop keeps refusing them.", kCounter};
constexpr Metric kUnauthorized = {"keystead_gateway_unauthorized_groups_total",
                                  "Groups from the LAN that the roster does not allow.", kCounter};
constexpr Metric kPushedBack = {"keystead_gateway_pushed_back_calls_total",
                                "Calls of the LAN that ended because the queue was full.", kCounter};
constexpr Metric kConnected = {"keystead_gateway_upstream_connections",
                               "Whether the next hop answers (1) or not (0), by what goes over the call.",
                               kGauge,
                               {"direction"}};
constexpr Metric kBelongs = {"keystead_gateway_owned_instantiations",
                             "1: it belongs to somebody's product. 0: it waits for its owner.", kGauge};
constexpr Metric kFetched = {"keystead_gateway_fetched_groups_total",
                             "Groups that came from the next hop and were new here.", kCounter};
constexpr Metric kFetchRefused = {"keystead_gateway_fetch_refusals_total",
                                  "What came from the next hop and was not believed: commits that are no "
                                  "successor, records beyond the variants of a place, malformed groups.",
                                  kCounter,
                                  {"what"}};

}  // namespace

void WriteGatewayMetrics(const GatewayStats& stats, uint64_t queue_limit_bytes, MetricWriter& out) {
  const Outbox::Stats& queue = stats.up.outbox;
  out.Value(kQueueEntries, queue.entries);
  out.Value(kQueueBytes, queue.bytes);
  out.Value(kQueueLimit, queue_limit_bytes);
  out.Value(kQueueAge, absl::ToDoubleSeconds(queue.age));
  out.Value(kInFlight, queue.in_flight_bytes);
  out.Value(kForwarded, queue.forwarded);
  out.Value(kRetried, queue.retried);
  out.Value(kParked, queue.parked);
  out.Value(kUnauthorized, stats.lan.refused);
  out.Value(kPushedBack, stats.lan.pushed_back);
  out.Value(kConnected, stats.up.connected, {"up"});
  out.Value(kConnected, stats.down.connected, {"down"});
  out.Value(kBelongs, stats.lan.belongs);
  out.Value(kFetched, stats.down.stored);
  out.Value(kFetchRefused, stats.down.refused_commits, {"commit"});
  out.Value(kFetchRefused, stats.down.refused_records, {"record"});
  out.Value(kFetchRefused, stats.down.malformed, {"malformed"});
}

}  // namespace keystead::gateway
