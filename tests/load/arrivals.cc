#include "tests/load/arrivals.h"

#include <cmath>

namespace keystead::load {

std::optional<ArrivalKind> ArrivalKindFromName(std::string_view name) {
  if (name == "poisson") return ArrivalKind::kPoisson;
  if (name == "constant") return ArrivalKind::kConstant;
  return std::nullopt;
}

std::string_view ArrivalKindName(ArrivalKind kind) {
  return kind == ArrivalKind::kPoisson ? "poisson" : "constant";
}

uint64_t SmallRandom::Next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double SmallRandom::Uniform() { return static_cast<double>((Next() >> 11) + 1) * 0x1p-53; }

Arrivals::Arrivals(ArrivalKind kind, double per_second, int64_t start_ns, uint64_t seed)
    : kind_(kind), mean_ns_(1e9 / per_second), random_(seed), next_(static_cast<double>(start_ns)) {
  next_ += kind_ == ArrivalKind::kConstant ? mean_ns_ * random_.Uniform() : Interval();
}

double Arrivals::Interval() {
  return kind_ == ArrivalKind::kConstant ? mean_ns_ : -std::log(random_.Uniform()) * mean_ns_;
}

void Arrivals::Advance() { next_ += Interval(); }

}  // namespace keystead::load
