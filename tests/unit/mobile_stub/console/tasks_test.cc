// What takes its time is bounded: so many commands, one change of who belongs, so many steps of each.
#include "mobile-stub/console/tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"

namespace keystead::console {
namespace {

using nlohmann::json;
using ::testing::SizeIs;

class TasksTest : public ::testing::Test {
 protected:
  ~TasksTest() override {
    if (!go_on_.HasBeenNotified()) go_on_.Notify();
  }
  // Goes on until it is let go.
  absl::StatusOr<std::string> Begin(Tasks::Kind kind) {
    return tasks_.Start(kind, {{"kind", "test"}}, [this](const mobile::ProgressFn&) -> absl::StatusOr<json> {
      go_on_.WaitForNotification();
      return json::object();
    });
  }
  json Told(const std::string& id) const {
    const json now = model_.Snapshot().content;
    for (const json& task : now["tasks"]) {
      if (task["id"] == id) return task;
    }
    return nullptr;
  }

  ManualClock clock_;
  ConsoleModel model_{{}, [] { return std::map<MemberId, std::string>(); }, &clock_};
  absl::Notification go_on_;
  Tasks tasks_{&model_, &clock_};  // ends before what it runs on
};

TEST_F(TasksTest, OfChangesOfWhoBelongsThereIsOneAtATime) {
  ASSERT_TRUE(Begin(Tasks::Kind::kMembership).ok());
  EXPECT_EQ(Begin(Tasks::Kind::kMembership).status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Begin(Tasks::Kind::kCommand).ok());
  go_on_.Notify();
  EXPECT_TRUE(tasks_.Finish(absl::Seconds(20)));
}

TEST_F(TasksTest, OfCommandsThereAreSoManyAndNoMore) {
  for (size_t i = 0; i < Tasks::kMaxCommands; ++i) ASSERT_TRUE(Begin(Tasks::Kind::kCommand).ok()) << i;
  EXPECT_EQ(Begin(Tasks::Kind::kCommand).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Begin(Tasks::Kind::kMembership).ok());
  go_on_.Notify();
  EXPECT_TRUE(tasks_.Finish(absl::Seconds(20)));
}

TEST_F(TasksTest, OneThatNeverTiresOfTellingIsHeardSoFar) {
  const auto id = tasks_.Start(Tasks::Kind::kCommand, {{"kind", "test"}},
                               [](const mobile::ProgressFn& tell) -> absl::StatusOr<json> {
                                 for (int i = 0; i < 1000; ++i) tell({"refused", "device", "why"});
                                 return json{{"epoch", 1}};
                               });
  ASSERT_TRUE(id.ok()) << id.status();
  ASSERT_TRUE(tasks_.Finish(absl::Seconds(20)));
  const json task = Told(*id);
  EXPECT_THAT(task["steps"], SizeIs(64));
  EXPECT_EQ(task["state"], "done");
}

TEST_F(TasksTest, ItsEndWaitsNoLongerThanItIsToldTo) {
  const auto id = Begin(Tasks::Kind::kCommand);
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_FALSE(tasks_.Finish(absl::Milliseconds(50)));
  EXPECT_EQ(Told(*id)["state"], "running");
  EXPECT_EQ(Begin(Tasks::Kind::kCommand).status().code(), absl::StatusCode::kUnavailable) << "it is ending";
  go_on_.Notify();
  EXPECT_TRUE(tasks_.Finish(absl::Seconds(20)));
  EXPECT_EQ(Told(*id)["state"], "done");
}

}  // namespace
}  // namespace keystead::console
