#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mobile-stub/hop_contents.h"
#include "mobile-stub/membership.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using testing::Home;
using testing::Must;

class HopContentsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = home_.NewDevice("a");
    home_.Pair({device_.get()});
    engine_ = home_.App();
    WatchObserver nobody;
    const auto session = Must(WatchSession::Start(*engine_, &nobody, {}));
    for (int i = 0; i < 5; ++i) device_->SendReading(i, true);
    ASSERT_TRUE(session->AwaitStreams(
        [](const std::vector<StreamStatus>& streams) {
          return std::ranges::any_of(streams, [](const StreamStatus& s) { return s.received >= 11; });
        },
        testing::kPatience));
  }
  std::vector<HeldRecord> All(size_t last) {
    return Must(FetchRecords(*engine_, Must(AllTopics(*engine_)), last, testing::kPatience));
  }
  Home home_;
  std::unique_ptr<testing::TestDevice> device_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(HopContentsTest, ShowsTheNewestRecordsOfEachTopic) {
  const auto records = Must(
      FetchRecords(*engine_, {Topic::Of(TopicKind::kTelemetry, device_->self())}, 2, testing::kPatience));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].sequence + 1, records[1].sequence);
  EXPECT_EQ(records[0].kid.size(), kKidBytes);
  EXPECT_EQ(records[0].place.sender, device_->self());
}

// Under KEYSTEAD_MUTANT=aad_omits_stream this one fails, naming the field.
TEST_F(HopContentsTest, SealBindsEveryOuterField) {
  const BindingReport report = Must(CheckBinding(*engine_, All(64)));
  EXPECT_GE(report.records, 11u);
  ASSERT_EQ(report.fields.size(), 7u);
  for (const FieldBinding& f : report.fields) {
    EXPECT_EQ(f.records, report.records) << f.field;
    EXPECT_EQ(f.opened, 0u) << f.field << " is not bound";
  }
  EXPECT_TRUE(report.bound());
}

TEST_F(HopContentsTest, ChangedRecordsAreCountedAsUnreadable) {
  std::vector<HeldRecord> records = All(64);
  for (HeldRecord& record : records) record.cose.back() ^= 1;
  const BindingReport report = Must(CheckBinding(*engine_, records));
  EXPECT_EQ(report.records, 0u);
  EXPECT_GE(report.unreadable, 11u);
  EXPECT_FALSE(report.bound());
}

TEST_F(HopContentsTest, UnreachableHopIsTold) {
  const auto engine = Must(Engine::Over(home_.state_folder(), nullptr, engine_->transport()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(FetchRecords(*engine, {Topic::Keyring()}, 1, absl::Seconds(1)).status()));
}

}  // namespace
}  // namespace keystead::mobile
