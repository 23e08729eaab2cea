// The plots of the page, from parts of the report.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace keystead::load {

// Of one episode: latency by percentile, alone and with the neighbour.
std::string DistributionPlot(const nlohmann::json& episode);
// p50 and p99 of each window; the neighbour's time is shaded, the aim is a line.
std::string TimelinePlot(const nlohmann::json& episode);
// Goodput of each victim, alone and with the neighbour.
std::string GoodputPlot(const nlohmann::json& episode);
// Throughput of each row of the sweep.
std::string SweepPlot(const nlohmann::json& sweep);

}  // namespace keystead::load
