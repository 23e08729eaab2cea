// The phases of a run, and how the tail of the latency moved through them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace keystead::load {

enum class Phase : uint8_t { kWarmUp, kAlone, kNeighbour, kRecovery };
inline constexpr size_t kPhases = 4;
std::string_view PhaseName(Phase phase);  // "warm_up", "alone", "neighbour", "recovery"

// All times are nanoseconds of one clock.
struct Timeline {
  // warm-up begins, alone begins, neighbour begins, recovery begins, all ends
  std::array<int64_t, kPhases + 1> bounds{};

  static Timeline Of(int64_t start_ns, const std::array<double, kPhases>& seconds);
  int64_t BeginOf(Phase phase) const { return bounds[static_cast<size_t>(phase)]; }
  int64_t EndOf(Phase phase) const { return bounds[static_cast<size_t>(phase) + 1]; }
  int64_t end() const { return bounds.back(); }
  double SecondsOf(Phase phase) const { return static_cast<double>(EndOf(phase) - BeginOf(phase)) * 1e-9; }
  std::optional<Phase> At(int64_t time_ns) const;  // none before and after
};

// Latencies by the time at which they were meant to begin, in windows of equal length from `begin` on.
// Quantiles are exact.
class WindowSeries {
 public:
  WindowSeries(int64_t begin_ns, int64_t window_ns, size_t windows)
      : begin_ns_(begin_ns), window_ns_(window_ns), samples_(windows) {}

  void Record(int64_t intended_ns, uint32_t latency_us);  // outside of all windows: nothing
  size_t size() const { return samples_.size(); }
  int64_t BeginOf(size_t window) const { return begin_ns_ + static_cast<int64_t>(window) * window_ns_; }
  int64_t window_ns() const { return window_ns_; }
  size_t Count(size_t window) const { return samples_[window].size(); }
  // None when nothing was meant to begin in that window.
  std::optional<uint32_t> Quantile(size_t window, double q) const;

 private:
  int64_t begin_ns_;
  int64_t window_ns_;
  mutable std::vector<std::vector<uint32_t>> samples_;  // partly sorted by Quantile
};

// How long after `from` two windows in a row begin whose p99 is at most `bound_us`: 0 when the first two
// after it are already like that. A window with nothing in it counts as good. None when the series ends
// before.
std::optional<double> RecoverySeconds(const WindowSeries& series, int64_t from_ns, double bound_us);

// The share of windows that begin in [from, to) and have a p99 above the bound: how noisy the measure is
// where nobody misbehaves. 0 when there is none.
double ShareAbove(const WindowSeries& series, int64_t from_ns, int64_t to_ns, double bound_us);

}  // namespace keystead::load
