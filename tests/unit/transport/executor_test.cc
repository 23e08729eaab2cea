#include "core/transport/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"

namespace keystead {
namespace {

// Uses the processor, as sleep would not.
void Work(int rounds) {
  volatile uint64_t sink = 0;
  for (int i = 0; i < rounds; ++i) sink = sink + static_cast<uint64_t>(i);
}
constexpr int kLong = 2'000'000;  // a millisecond or more

TEST(ExecutorTest, JobsOfAFlowStartInTheirOrder) {
  std::vector<int> order;
  Executor executor(1);
  for (int i = 0; i < 100; ++i) executor.Post("one", [&order, i] { order.push_back(i); });
  executor.Drain();
  ASSERT_EQ(order.size(), 100);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

// A tenant with two hundred milliseconds of work before it: who comes with a small job is not behind them.
TEST(ExecutorTest, WhoBringsLittleDoesNotWaitForWhoBringsMuch) {
  Executor executor(1);
  std::atomic<int> done_of_much = 0;
  int done_before = -1;
  absl::Notification held;
  executor.Post("little", [&] { held.WaitForNotification(); });
  for (int i = 0; i < 200; ++i) executor.Post("much", [&] { Work(kLong), ++done_of_much; });
  executor.Post("little", [&] { done_before = done_of_much; });
  held.Notify();
  executor.Drain();
  EXPECT_EQ(done_of_much, 200);
  EXPECT_LE(done_before, 2);
}

TEST(ExecutorTest, TimeIsSharedAndNotJobs) {
  Executor executor(1);
  std::atomic<int> small = 0;
  int small_before_the_last = 0;
  absl::Notification held;
  executor.Post([&] { held.WaitForNotification(); });
  for (int i = 0; i < 20; ++i)
    executor.Post("large", [&, i] {
      Work(kLong);
      if (i == 19) small_before_the_last = small;
    });
  for (int i = 0; i < 400; ++i) executor.Post("small", [&] { Work(kLong / 20), ++small; });
  held.Notify();
  executor.Drain();
  EXPECT_GT(small_before_the_last, 250);  // in turns it would be 19
}

// Jobs that wait for a disk use no processor to speak of: they take turns.
TEST(ExecutorTest, FlowsOfJobsThatWaitTakeTurns) {
  Executor executor(1, Executor::Time::kElapsed);
  int done_of_much = 0;
  std::vector<int> done_before;
  absl::Notification held;
  executor.Post("much", [&] { held.WaitForNotification(), ++done_of_much; });
  for (int i = 0; i < 200; ++i) executor.Post("much", [&] { ++done_of_much; });
  for (int i = 0; i < 3; ++i) executor.Post("little", [&] { done_before.push_back(done_of_much); });
  held.Notify();
  executor.Drain();
  EXPECT_EQ(done_of_much, 201);
  // The one that was held took long, and is paid for.
  ASSERT_EQ(done_before.size(), 3u);
  EXPECT_EQ(done_before[0], 1);
  EXPECT_LE(done_before[2], 3);
}

TEST(ExecutorTest, GoingItRunsWhatWasPosted) {
  std::atomic<int> ran = 0;
  {
    Executor executor(2);
    for (int i = 0; i < 50; ++i) executor.Post(i % 2 == 0 ? "a" : "b", [&] { ++ran; });
  }
  EXPECT_EQ(ran, 50);
}

}  // namespace
}  // namespace keystead
