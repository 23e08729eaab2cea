// main() of tests in which gRPC runs: awaits what gRPC still takes down on threads of its own when the last
// test has ended, which would else be taken for a leak. Fails when a test kept a
// channel or a call.
#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace {

// Names of the threads beside this one, but for RocksDB's, which stay to the end.
std::string OtherThreads() {
  std::string names;
  const std::string self = std::to_string(getpid());  // the first thread's number, too
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (task.path().filename() != self && !name.empty() && !name.starts_with("rocksdb:")) names += " " + name;
  }
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  const int code = RUN_ALL_TESTS();
  // Ends also the use that a Timer keeps for the life of a process. The last end waits until all of gRPC is
  // gone…
  while (grpc_is_initialized() != 0) grpc_shutdown_blocking();
  // … but for the last steps of its detached threads: what OpenSSL keeps for a thread goes in them.
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (!OtherThreads().empty() && absl::Now() < until) absl::SleepFor(absl::Milliseconds(1));
  const std::string left = OtherThreads();
  if (left.empty()) return code;
  std::fprintf(stderr, "a test left gRPC running, in threads%s\n", left.c_str());
  return 1;
}
