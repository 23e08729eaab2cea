// What a gateway counts, as metrics.
#pragma once

#include "core/observe/metrics.h"
#include "gateway/gateway.h"

namespace keystead::gateway {

void WriteGatewayMetrics(const GatewayStats& stats, uint64_t queue_limit_bytes, MetricWriter& out);

}  // namespace keystead::gateway
