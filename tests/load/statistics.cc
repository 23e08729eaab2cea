#include "tests/load/statistics.h"

namespace keystead::load {

double JainIndex(std::span<const double> shares) {
  double sum = 0;
  double squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : 1;
}

std::optional<double> Ratio(double value, double base) {
  if (!(base > 0)) return std::nullopt;
  return value / base;
}

}  // namespace keystead::load
