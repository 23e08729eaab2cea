// What the devices of a process count, added up, as metrics: a process may have thousands of them.
#pragma once

#include <memory>
#include <vector>

#include "core/observe/metrics.h"
#include "device-sim/device.h"

namespace keystead::device_sim {

// Of all devices together.
struct FleetTotals {
  DeviceTotals sum;
  uint64_t running = 0;    // joined and at work
  uint64_t connected = 0;  // senders of telemetry whose hop answers
};
FleetTotals TotalsOf(const std::vector<std::unique_ptr<Device>>& devices);

void WriteFleetMetrics(const FleetTotals& totals, size_t devices, size_t journal_bytes_each,
                       MetricWriter& out);

}  // namespace keystead::device_sim
