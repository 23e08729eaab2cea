#include "core/transport/transport_metrics.h"

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <string>

#include "core/transport/limit_names.h"
#include "keystead/v1/admin.pb.h"

namespace keystead {
namespace {

constexpr Metric kFailedCalls = {"keystead_failed_calls_total",
                                 "Calls that ended with another status than OK, by status and, for "
                                 "RESOURCE_EXHAUSTED, by limit.",
                                 MetricType::kCounter,
                                 {"code", "limit"}};
constexpr Metric kPublishTime = {"keystead_publisher_ack_seconds",
                                 "From the moment a request leaves for the next hop until that hop has "
                                 "acknowledged it.",
                                 MetricType::kHistogram};
constexpr std::string_view kNoLimit = "";
constexpr std::string_view kOtherLimit = "other";

using CodeCounts = std::array<std::atomic<uint64_t>, kStatusCodes>;

// A closed list: of what a tenant's operators may set, and of what hops set themselves.
struct Ledger {
  Ledger() {
    const google::protobuf::Descriptor& set = *v1::TenantLimits::descriptor();
    for (int i = 0; i < set.field_count(); ++i) limits[set.field(i)->name()];
    for (const std::string_view name : peer_limits::kAll) limits[std::string(name)];
    limits[std::string(kOtherLimit)];
  }
  CodeCounts codes{};
  std::map<std::string, std::atomic<uint64_t>, std::less<>> limits;  // of RESOURCE_EXHAUSTED
};

Ledger& TheLedger() {
  static Ledger* const ledger = new Ledger;
  return *ledger;
}

void CollectFailedCalls(MetricWriter& out) {
  const Ledger& ledger = TheLedger();
  for (int code = 1; code < kStatusCodes; ++code) {
    const auto as_code = static_cast<absl::StatusCode>(code);
    if (as_code == absl::StatusCode::kUnknown || as_code == absl::StatusCode::kResourceExhausted) continue;
    out.Value(kFailedCalls, ledger.codes[static_cast<size_t>(code)].load(std::memory_order_relaxed),
              {CodeName(as_code), kNoLimit});
  }
  for (const auto& [name, count] : ledger.limits) {
    // Also those that were never reached: an alarm sees a counter grow only from a value that it knew.
    out.Value(kFailedCalls, count.load(std::memory_order_relaxed),
              {CodeName(absl::StatusCode::kResourceExhausted), name});
  }
}

}  // namespace

std::string_view CodeName(absl::StatusCode code) {
  static constexpr std::array<std::string_view, kStatusCodes> kNames = {
      "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED",
  };
  const auto number = static_cast<size_t>(code);
  return kNames[number < kNames.size() ? number : static_cast<size_t>(absl::StatusCode::kUnknown)];
}

void CountFailedCall(absl::StatusCode code, std::string_view limit) {
  Ledger& ledger = TheLedger();
  const auto number = static_cast<size_t>(code);
  if (code != absl::StatusCode::kResourceExhausted) {
    if (number < ledger.codes.size()) ledger.codes[number].fetch_add(1, std::memory_order_relaxed);
    return;
  }
  auto known = ledger.limits.find(limit);
  if (known == ledger.limits.end()) known = ledger.limits.find(kOtherLimit);
  known->second.fetch_add(1, std::memory_order_relaxed);
}

void ServeFailedCalls() {
  static const auto* const source = new MetricSource(&CollectFailedCalls);
  static_cast<void>(source);
}

LatencyHistogram& PublishedTimes() {
  static auto* const times = new LatencyHistogram;
  static const auto* const source =
      new MetricSource([](MetricWriter& out) { out.Times(kPublishTime, times->Read()); });
  static_cast<void>(source);
  return *times;
}

}  // namespace keystead
