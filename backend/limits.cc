#include "backend/limits.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "keystead/v1/admin.pb.h"

namespace keystead::backend {
namespace {

constexpr double kMaxRate = 1e12;
constexpr double kMinWeight = 0.01;
constexpr double kMaxWeight = 1000;
constexpr uint64_t kMaxSeconds = 1ULL << 40;

absl::Status CheckRate(std::string_view name, double value) {
  if (value >= 0 && value <= kMaxRate) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(Absl(name), " must be between 0 (no limit) and 1e12"));
}

}  // namespace

absl::StatusOr<TenantLimits> LimitsFrom(const v1::TenantLimits& message) {
  KS_RETURN_IF_ERROR(CheckRate("records_per_second", message.records_per_second()));
  KS_RETURN_IF_ERROR(CheckRate("records_burst", message.records_burst()));
  KS_RETURN_IF_ERROR(CheckRate("bytes_per_second", message.bytes_per_second()));
  KS_RETURN_IF_ERROR(CheckRate("bytes_burst", message.bytes_burst()));
  const double weight = message.weight() == 0 ? 1 : message.weight();
  if (!(weight >= kMinWeight && weight <= kMaxWeight))
    return absl::InvalidArgumentError("weight must be between 0.01 and 1000, or 0 for 1");
  if (message.retention_seconds() > kMaxSeconds)
    return absl::InvalidArgumentError("retention_seconds is more than there will be");
  TenantLimits out;
  out.records_per_second = message.records_per_second();
  out.records_burst = message.records_burst();
  out.bytes_per_second = message.bytes_per_second();
  out.bytes_burst = message.bytes_burst();
  out.streams = message.streams();
  out.connections = message.connections();
  out.subscriptions = message.subscriptions();
  out.instantiations = message.instantiations();
  out.stored_bytes = message.stored_bytes();
  out.weight = weight;
  if (message.retention_seconds() > 0)
    out.retention_age = absl::Seconds(static_cast<int64_t>(message.retention_seconds()));
  out.retention_bytes = message.retention_bytes();
  return out;
}

v1::TenantLimits ToMessage(const TenantLimits& limits) {
  v1::TenantLimits out;
  out.set_records_per_second(limits.records_per_second);
  out.set_records_burst(limits.records_burst);
  out.set_bytes_per_second(limits.bytes_per_second);
  out.set_bytes_burst(limits.bytes_burst);
  out.set_streams(limits.streams);
  out.set_connections(limits.connections);
  out.set_subscriptions(limits.subscriptions);
  out.set_instantiations(limits.instantiations);
  out.set_stored_bytes(limits.stored_bytes);
  out.set_weight(limits.weight);
  if (limits.retention_age != absl::InfiniteDuration())
    out.set_retention_seconds(static_cast<uint64_t>(absl::ToInt64Seconds(limits.retention_age)));
  out.set_retention_bytes(limits.retention_bytes);
  return out;
}

std::string EncodeLimits(const TenantLimits& limits) { return ToMessage(limits).SerializeAsString(); }

absl::StatusOr<TenantLimits> DecodeLimits(std::string_view row) {
  v1::TenantLimits message;
  if (!message.ParseFromArray(row.data(), static_cast<int>(row.size())))
    return absl::DataLossError("the limits of a tenant are damaged");
  absl::StatusOr<TenantLimits> limits = LimitsFrom(message);
  if (!limits.ok()) return absl::DataLossError(limits.status().message());
  return limits;
}

}  // namespace keystead::backend
