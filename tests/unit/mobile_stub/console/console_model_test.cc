#include "mobile-stub/console/console_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

#include "mobile-stub/console/router.h"

namespace keystead::console {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A sender and what it says, without a home.
class ModelTest : public ::testing::Test {
 protected:
  explicit ModelTest(ModelLimits limits = {})
      : model_(
            limits, [] { return std::map<MemberId, std::string>(); }, &clock_) {
    place_.topic = Topic::Of(TopicKind::kTelemetry, sender_);
    place_.sender = sender_;
    place_.stream = RandomSource::System().NewId<StreamId>();
  }
  // One record with one reading, `at` seconds after the first. Whoever writes must be known, as the board
  // wants it: a removed one is shown as well.
  void Say(double value, int64_t at, uint64_t sequence) {
    v1::ReadingBatch batch;
    batch.set_taken_unix_us(at * 1'000'000);
    batch.add_channels()->set_name("t");
    batch.add_readings()->set_value(value);
    ReadRecord record;
    record.place = &place_;
    record.sequence = sequence;
    record.kind = kinds::kReadings;
    model_.OnReadings(record, batch, true);
  }
  json Since(uint64_t version) { return model_.Since(version, absl::ZeroDuration()).content; }

  ManualClock clock_;
  const MemberId sender_ = RandomSource::System().NewId<MemberId>();
  StreamPlace place_;
  ConsoleModel model_;
};

TEST_F(ModelTest, NothingChangedIsNothing) {
  const uint64_t now = model_.Snapshot().version;
  EXPECT_TRUE(Since(now).is_null());
  EXPECT_FALSE(Since(now - 1).is_null());
}

TEST_F(ModelTest, AWaitingReaderIsWokenByAChange) {
  const uint64_t now = model_.Snapshot().version;
  std::thread later([this] { model_.OnConnection(true, ""); });
  const ConsoleModel::Step step = model_.Since(now, absl::Seconds(20));
  later.join();
  ASSERT_FALSE(step.content.is_null());
  EXPECT_EQ(step.content["connection"]["connected"], true);
  EXPECT_GT(step.version, now);
}

TEST_F(ModelTest, APartThatDidNotChangeIsNotTold) {
  model_.SetChangePending(true);
  const uint64_t now = model_.Snapshot().version;
  model_.SetChangePending(true);
  EXPECT_TRUE(Since(now).is_null());
  model_.OnConnection(true, "");
  EXPECT_FALSE(Since(now).contains("change_pending"));
}

TEST_F(ModelTest, AlarmsThatRepeatAreOneWithACount) {
  SecurityEvent event{.kind = SecurityEventKind::kOpenFailed, .topic = "telemetry/x", .sequence = 1};
  for (uint64_t i = 1; i <= 500; ++i) {
    event.sequence = i;
    model_.OnAlarm(event);
  }
  json alarms = model_.Snapshot().content["alarms"];
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_EQ(alarms[0]["count"], 500);
  EXPECT_EQ(alarms[0]["sequence"], 500);
  clock_.Advance(absl::Seconds(3));
  model_.OnAlarm(event);
  EXPECT_THAT(model_.Snapshot().content["alarms"], SizeIs(2));
}

class SmallModelTest : public ModelTest {
 protected:
  SmallModelTest()
      : ModelTest({.points_per_channel = 5, .points_in_snapshot = 20, .alarms = 3, .tasks = 2}) {}
};

TEST_F(SmallModelTest, HoldsNoMoreThanItsLimits) {
  for (int i = 0; i < 10; ++i) {
    model_.OnAlarm({.kind = i % 2 == 0 ? SecurityEventKind::kReplay : SecurityEventKind::kMissing});
    model_.SetTask("task-" + std::to_string(i), {{"id", i}});
    Say(i, i, static_cast<uint64_t>(i));
  }
  const json all = model_.Snapshot().content;
  EXPECT_THAT(all["alarms"], SizeIs(3));
  EXPECT_EQ(all["alarms"][2]["id"], 10);
  EXPECT_THAT(all["tasks"], SizeIs(2));
}

TEST_F(ModelTest, UnknownMembersAreNotKnown) {
  EXPECT_FALSE(model_.Knows(sender_));
  EXPECT_EQ(model_.DeviceOf(sender_), "");
}

TEST(RouterTest, FindsByMethodAndPathAndNamesWhatStoodInBraces) {
  Router router;
  const auto nothing = [](HttpRequest&, const PathParameters&) { return HttpResponse(); };
  router.Get("/a/{x}/b", nothing);
  router.Post("/a", nothing);
  PathParameters path;
  bool other = false;
  ASSERT_NE(router.Find("GET", "/a/7/b", path, other), nullptr);
  EXPECT_EQ(path["x"], "7");
  EXPECT_NE(router.Find("HEAD", "/a/7/b", path, other), nullptr);
  for (const char* miss : {"/a/7", "/a//b", "/a/7/b/", "/a/7/c", "/", "", "a/7/b", "/a/7/b/c"}) {
    EXPECT_EQ(router.Find("GET", miss, path, other), nullptr) << miss;
    EXPECT_FALSE(other) << miss;
  }
  EXPECT_EQ(router.Find("GET", "/a", path, other), nullptr);
  EXPECT_TRUE(other);
}

}  // namespace
}  // namespace keystead::console
