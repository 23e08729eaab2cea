// What one tenant may have. The names of keystead.v1.TenantLimits; 0 is no limit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace keystead::v1 {
class TenantLimits;
}

namespace keystead::backend {

// The names that a refusal carries.
namespace limit_names {
inline constexpr std::string_view kRecords = "records_per_second";
inline constexpr std::string_view kBytes = "bytes_per_second";
inline constexpr std::string_view kStreams = "streams";
inline constexpr std::string_view kConnections = "connections";
inline constexpr std::string_view kSubscriptions = "subscriptions";
inline constexpr std::string_view kInstantiations = "instantiations";
inline constexpr std::string_view kStoredBytes = "stored_bytes";
// Not numbers that anybody sets:
inline constexpr std::string_view kQueue = "queue";  // of the writer
}  // namespace limit_names

struct TenantLimits {
  double records_per_second = 0;
  double records_burst = 0;
  double bytes_per_second = 0;
  double bytes_burst = 0;
  uint64_t streams = 0;
  uint64_t connections = 0;
  uint64_t subscriptions = 0;
  uint64_t instantiations = 0;
  uint64_t stored_bytes = 0;
  double weight = 1;
  absl::Duration retention_age = absl::InfiniteDuration();
  uint64_t retention_bytes = 0;
  bool operator==(const TenantLimits&) const = default;
};

// INVALID_ARGUMENT names the field: a number below zero or none at all, or a weight outside of 0.01 to 1000.
absl::StatusOr<TenantLimits> LimitsFrom(const v1::TenantLimits& message);
v1::TenantLimits ToMessage(const TenantLimits& limits);

// As a row. DATA_LOSS: not what Encode wrote.
std::string EncodeLimits(const TenantLimits& limits);
absl::StatusOr<TenantLimits> DecodeLimits(std::string_view row);

}  // namespace keystead::backend
