#include "tests/load/timeline.h"

#include <algorithm>
#include <cmath>

namespace keystead::load {
namespace {

constexpr std::array<std::string_view, kPhases> kNames = {"warm_up", "alone", "neighbour", "recovery"};
constexpr double kTail = 0.99;

bool IsGood(const WindowSeries& series, size_t window, double bound_us) {
  return series.Quantile(window, kTail).value_or(0) <= bound_us;
}

}  // namespace

std::string_view PhaseName(Phase phase) { return kNames[static_cast<size_t>(phase)]; }

Timeline Timeline::Of(int64_t start_ns, const std::array<double, kPhases>& seconds) {
  Timeline out;
  out.bounds[0] = start_ns;
  for (size_t i = 0; i < kPhases; ++i) out.bounds[i + 1] = out.bounds[i] + std::llround(seconds[i] * 1e9);
  return out;
}

std::optional<Phase> Timeline::At(int64_t time_ns) const {
  if (time_ns < bounds.front() || time_ns >= bounds.back()) return std::nullopt;
  const auto after = std::upper_bound(bounds.begin(), bounds.end(), time_ns);
  return static_cast<Phase>(after - bounds.begin() - 1);
}

void WindowSeries::Record(int64_t intended_ns, uint32_t latency_us) {
  if (intended_ns < begin_ns_) return;
  const auto window = static_cast<size_t>((intended_ns - begin_ns_) / window_ns_);
  if (window < samples_.size()) samples_[window].push_back(latency_us);
}

std::optional<uint32_t> WindowSeries::Quantile(size_t window, double q) const {
  std::vector<uint32_t>& samples = samples_[window];
  if (samples.empty()) return std::nullopt;
  const double wanted = std::ceil(q * static_cast<double>(samples.size()));
  const size_t rank = std::clamp<size_t>(static_cast<size_t>(wanted), 1, samples.size());
  const auto at = samples.begin() + static_cast<ptrdiff_t>(rank - 1);
  std::nth_element(samples.begin(), at, samples.end());
  return *at;
}

std::optional<double> RecoverySeconds(const WindowSeries& series, int64_t from_ns, double bound_us) {
  for (size_t i = 0; i + 1 < series.size(); ++i) {
    if (series.BeginOf(i) < from_ns) continue;
    if (IsGood(series, i, bound_us) && IsGood(series, i + 1, bound_us))
      return static_cast<double>(series.BeginOf(i) - from_ns) * 1e-9;
  }
  return std::nullopt;
}

double ShareAbove(const WindowSeries& series, int64_t from_ns, int64_t to_ns, double bound_us) {
  size_t all = 0;
  size_t above = 0;
  for (size_t i = 0; i < series.size(); ++i) {
    if (series.BeginOf(i) < from_ns || series.BeginOf(i) >= to_ns) continue;
    ++all;
    if (!IsGood(series, i, bound_us)) ++above;
  }
  return all == 0 ? 0 : static_cast<double>(above) / static_cast<double>(all);
}

}  // namespace keystead::load
