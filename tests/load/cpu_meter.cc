#include "tests/load/cpu_meter.h"

#include <unistd.h>

#include <algorithm>

#include "tests/load/machine.h"

namespace keystead::load {
namespace {

std::optional<double> Share(std::optional<double> from, std::optional<double> to, double seconds) {
  if (!from || !to) return std::nullopt;
  return (*to - *from) / seconds;
}

std::optional<double> Others(std::optional<double> busy, std::optional<double> ours) {
  if (!busy || !ours) return std::nullopt;
  return std::max(0.0, *busy - *ours);
}

}  // namespace

CpuSample CpuMeter::Now() const {
  CpuSample out;
  out.at_seconds = static_cast<double>(NowNs()) * 1e-9;
  out.generator = CpuSeconds(getpid()).value_or(0);
  if (neighbours > 0) out.generator += CpuSeconds(neighbours).value_or(0);
  if (server > 0) out.server = CpuSeconds(server);
  if (generator_core >= 0) out.generator_core = BusySeconds(generator_core);
  if (server_core >= 0) out.server_core = BusySeconds(server_core);
  return out;
}

CpuUse UseBetween(const CpuSample& from, const CpuSample& to) {
  const double seconds = std::max(to.at_seconds - from.at_seconds, 1e-9);
  CpuUse out;
  out.generator = (to.generator - from.generator) / seconds;
  out.server = Share(from.server, to.server, seconds);
  out.others_on_generator = Others(Share(from.generator_core, to.generator_core, seconds), out.generator);
  out.others_on_server = Others(Share(from.server_core, to.server_core, seconds), out.server);
  return out;
}

}  // namespace keystead::load
