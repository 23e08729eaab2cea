#include "core/storage/log_directory.h"

#include "gtest/gtest.h"
#include "tests/unit/storage/storage_test_support.h"

namespace keystead::storage {
namespace {

constexpr LogRef kLog{1, 1};
constexpr LogRef kOther{1, 2};

LogChange Change(LogRef log, Bounds bounds, std::vector<std::string> texts) {
  LogChange change{log, bounds, {}};
  for (const std::string& text : texts) change.appended.push_back(Make(text));
  return change;
}
void Publish(LogDirectory& directory, LogChange change) {
  std::vector<LogChange> changes;
  changes.push_back(std::move(change));
  directory.Publish(std::move(changes), {});
}

TEST(LogDirectoryTest, ServesTheTailFromMemory) {
  LogDirectory directory(1 << 20);
  Publish(directory, Change(kLog, {0, 2}, {"a", "b"}));
  Publish(directory, Change(kLog, {0, 3}, {"c"}));
  EXPECT_EQ(Texts(directory.ReadTail(kLog, 0, 100).entries), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(Texts(directory.ReadTail(kLog, 1, 1).entries), (std::vector<std::string>{"b"}));
  EXPECT_FALSE(directory.ReadTail(kLog, 3, 100).hit);
  EXPECT_FALSE(directory.ReadTail(kOther, 0, 100).bounds.has_value());
}

TEST(LogDirectoryTest, StaysWithinItsBytesAndKeepsTheNewest) {
  LogDirectory directory(10'000);
  for (uint64_t i = 0; i < 1000; ++i) Publish(directory, Change(kLog, {0, i + 1}, {std::string(500, 'x')}));
  EXPECT_LE(directory.tail_bytes(), 10'000u);
  EXPECT_TRUE(directory.ReadTail(kLog, 999, 100).hit);
  EXPECT_FALSE(directory.ReadTail(kLog, 0, 100).hit);
  EXPECT_EQ(directory.GetBounds(kLog), (Bounds{0, 1000}));
}

TEST(LogDirectoryTest, ALogLargerThanTheCacheIsNotKeptAtAll) {
  LogDirectory directory(100);
  Publish(directory, Change(kLog, {0, 1}, {std::string(500, 'x')}));
  EXPECT_EQ(directory.tail_bytes(), 0u);
  EXPECT_FALSE(directory.ReadTail(kLog, 0, 100).hit);
}

TEST(LogDirectoryTest, TrimmedEntriesLeaveMemory) {
  LogDirectory directory(1 << 20);
  Publish(directory, Change(kLog, {0, 3}, {"a", "b", "c"}));
  const size_t before = directory.tail_bytes();
  Publish(directory, Change(kLog, {2, 3}, {}));
  EXPECT_LT(directory.tail_bytes(), before);
  EXPECT_FALSE(directory.ReadTail(kLog, 1, 100).hit);
  EXPECT_EQ(Texts(directory.ReadTail(kLog, 2, 100).entries), (std::vector<std::string>{"c"}));
  Publish(directory, Change(kLog, {3, 3}, {}));
  EXPECT_EQ(directory.tail_bytes(), 0u);
}

TEST(LogDirectoryTest, ForgetsIdleLogs) {
  LogDirectory directory(0);
  const auto watcher = directory.Watch({2, 0}, [](uint64_t) {});
  for (uint64_t log = 0; log < 200'000; ++log) Publish(directory, Change({1, log}, {0, 1}, {"x"}));
  EXPECT_LT(directory.known_logs(), 70'000u);
  EXPECT_GT(directory.known_logs(), 0u);
}

TEST(LogDirectoryTest, WatchersHearOfTheirLogOnly) {
  LogDirectory directory(1 << 20);
  std::vector<uint64_t> ends;
  auto watcher = directory.Watch(kLog, [&](uint64_t end) { ends.push_back(end); });
  Publish(directory, Change(kLog, {0, 2}, {"a", "b"}));
  Publish(directory, Change(kOther, {0, 1}, {"a"}));
  Publish(directory, Change(kLog, {1, 2}, {}));  // a trim appends nothing
  watcher.reset();
  Publish(directory, Change(kLog, {1, 3}, {"c"}));
  EXPECT_EQ(ends, (std::vector<uint64_t>{2}));
}

TEST(LogDirectoryTest, AWatcherMayEndInsideItsCallback) {
  LogDirectory directory(1 << 20);
  int calls = 0;
  std::unique_ptr<Watcher> watcher;
  watcher = directory.Watch(kLog, [&](uint64_t) {
    ++calls;
    watcher.reset();
  });
  Publish(directory, Change(kLog, {0, 1}, {"a"}));
  Publish(directory, Change(kLog, {0, 2}, {"b"}));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace keystead::storage
