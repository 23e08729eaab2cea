// Who used which core between two moments.
#pragma once

#include <sys/types.h>

#include <optional>

namespace keystead::load {

struct CpuSample {
  double at_seconds = 0;
  double generator = 0;  // this process and the neighbours'
  std::optional<double> server;
  std::optional<double> generator_core;  // not idle, whoever it was
  std::optional<double> server_core;
};

struct CpuMeter {
  pid_t neighbours = 0;  // 0: there are none
  pid_t server = 0;      // 0: not on this machine
  int generator_core = -1;
  int server_core = -1;
  CpuSample Now() const;
};

// Shares of one core's time between two samples.
struct CpuUse {
  double generator = 0;
  std::optional<double> server;
  // What others took of the two cores: nobody of ours, so it disturbs the measurement. To a hundredth second.
  std::optional<double> others_on_generator;
  std::optional<double> others_on_server;
};
CpuUse UseBetween(const CpuSample& from, const CpuSample& to);

}  // namespace keystead::load
