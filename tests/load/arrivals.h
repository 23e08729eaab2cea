// When one device wants to send: an open loop, whose arrivals do not depend on how the server answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keystead::load {

enum class ArrivalKind : uint8_t { kPoisson, kConstant };
std::optional<ArrivalKind> ArrivalKindFromName(std::string_view name);  // "poisson", "constant"
std::string_view ArrivalKindName(ArrivalKind kind);

// SplitMix64. Small, so that thousands of devices have one each; the same seed gives the same run.
class SmallRandom {
 public:
  explicit SmallRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  double Uniform();  // above 0, at most 1

 private:
  uint64_t state_;
};

// Nanoseconds of any clock. Not thread-safe.
class Arrivals {
 public:
  // `per_second` above 0. The first one comes after `start`: at a random place in the first interval for
  // constant arrivals, so that devices are not in step.
  Arrivals(ArrivalKind kind, double per_second, int64_t start_ns, uint64_t seed);

  int64_t next() const { return static_cast<int64_t>(next_); }
  void Advance();

 private:
  double Interval();

  ArrivalKind kind_;
  double mean_ns_;
  SmallRandom random_;
  double next_;  // with its fraction, or a constant rate would drift; exact to a nanosecond for 104 days
};

}  // namespace keystead::load
