#include "core/member/job_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace keystead {
namespace {

TEST(JobQueueTest, RunsOneAtATimeAndEachThreadsJobsInOrder) {
  constexpr int kThreads = 4;
  constexpr int kJobs = 2000;
  Executor executor(3);
  JobQueue queue(&executor);
  std::atomic<int> running = 0;
  std::vector<std::vector<int>> seen(kThreads);  // only ever touched by the one job that runs
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kJobs; ++i) {
        queue.Post([&, t, i] {
          EXPECT_EQ(running.fetch_add(1), 0);
          seen[static_cast<size_t>(t)].push_back(i);
          running.fetch_sub(1);
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  queue.Drain();
  for (const std::vector<int>& of_thread : seen) {
    ASSERT_EQ(of_thread.size(), static_cast<size_t>(kJobs));
    EXPECT_TRUE(std::ranges::is_sorted(of_thread));
  }
}

TEST(JobQueueTest, DrainWaitsForWhatAJobPosts) {
  Executor executor(2);
  JobQueue queue(&executor);
  bool done = false;
  queue.Post([&] { queue.Post([&] { done = true; }); });
  queue.Drain();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace keystead
