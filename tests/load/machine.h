// What the measurement needs of the machine: a clock, cores of one's own, and who used them. Linux.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace keystead::load {

int64_t NowNs();                     // CLOCK_MONOTONIC: the same in every process of the machine
void SleepUntilNs(int64_t time_ns);  // returns at once for what is past
void WakePunctually();               // this thread's sleeps end within microseconds of what they ask for

std::vector<int> AllowedCores();                 // ascending
absl::Status PinTo(int core);                    // this thread and all that it starts, processes too
absl::Status RaiseFileLimit(uint64_t at_least);  // RESOURCE_EXHAUSTED: the hard limit is below

// CPU time that a process has used so far; none when it is gone.
std::optional<double> CpuSeconds(pid_t process);
std::optional<uint64_t> ResidentBytes(pid_t process);
// Time that a core was not idle, by whatever it was.
std::optional<double> BusySeconds(int core);
uint64_t BytesBelow(const std::string& folder);  // of regular files, as stored

struct MachineDescription {
  std::string cpu;
  int cores = 0;
  uint64_t memory_bytes = 0;
  std::string kernel;
};
MachineDescription DescribeMachine();

}  // namespace keystead::load
