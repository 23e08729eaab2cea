#include "core/program/termination.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include <thread>

namespace keystead {
namespace {

TEST(TerminationSignalTest, WaitsForASignalOrATrigger) {
  {
    TerminationSignal signal;
    EXPECT_FALSE(signal.WaitFor(absl::ZeroDuration()));
    pollfd waiting[2] = {{signal.descriptors()[0], POLLIN, 0}, {signal.descriptors()[1], POLLIN, 0}};
    EXPECT_EQ(poll(waiting, 2, 0), 0);
    pthread_kill(pthread_self(),
                 SIGTERM);  // to this thread, which has it blocked; others of this program may not
    EXPECT_TRUE(signal.WaitFor(absl::Seconds(10)));
    EXPECT_EQ(poll(waiting, 2, 0), 1);
    EXPECT_TRUE(signal.WaitFor(absl::ZeroDuration()));  // looking did not take it
    signal.Wait();
    sigset_t terminate;
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    int taken = 0;
    ASSERT_EQ(sigwait(&terminate, &taken), 0);
  }
  TerminationSignal signal;
  std::thread other([&] { signal.Trigger(); });
  signal.Wait();
  other.join();
}

}  // namespace
}  // namespace keystead
