#include "mobile-stub/means.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

namespace keystead::mobile {
namespace {

class MeansTest : public ::testing::Test {
 protected:
  static StreamPlace PlaceOf(int member) {
    StreamPlace place;
    place.sender = RandomSource::System().NewId<MemberId>();
    place.stream = RandomSource::System().NewId<StreamId>();
    places[member] = place;
    return place;
  }
  void Reading(int member, uint64_t sequence, double value, v1::Quality quality = v1::QUALITY_GOOD,
               bool current = true) {
    if (!places.contains(member)) PlaceOf(member);
    v1::ReadingBatch batch;
    v1::Channel& channel = *batch.add_channels();
    channel.set_name("temperature");
    channel.set_unit("Cel");
    v1::Reading& reading = *batch.add_readings();
    reading.set_value(value);
    reading.set_quality(quality);
    batch.add_readings()->set_channel(7);  // a channel that is not there
    ReadRecord record;
    record.place = &places[member];
    record.sequence = sequence;
    means.OnReadings(record, batch, current);
  }
  void Confirm(int member, uint64_t first, uint64_t last) {
    means.OnConfirmed(places[member], {first, last});
  }
  // What is told while these members are live.
  std::optional<Mean> Told(const std::vector<int>& live) {
    told.reset();
    std::vector<StreamStatus> streams;
    for (const auto& [member, place] : places) {
      StreamStatus& status = streams.emplace_back();
      status.place = place;
      status.current = true;
      const bool is_live = std::ranges::find(live, member) != live.end();
      status.liveness = is_live ? Liveness::kLive : Liveness::kLate;
    }
    means.OnState(streams);
    return told;
  }

  static inline std::map<int, StreamPlace> places;
  std::optional<Mean> told;
  Means means{[this](const Mean& mean) { told = mean; }};
  void SetUp() override { places.clear(); }
};

TEST_F(MeansTest, IsOfTheNewestReadingsThatWereSignedForAndAreLive) {
  Reading(1, 1, 10);
  Reading(1, 2, 20);
  Reading(2, 1, 40);
  Reading(3, 1, 70);
  EXPECT_FALSE(Told({1, 2, 3}).has_value()) << "nothing is signed for yet";
  Confirm(1, 1, 2);
  Confirm(2, 0, 1);
  const Mean two = *Told({1, 2, 3});
  EXPECT_EQ(two.channel, "temperature");
  EXPECT_EQ(two.unit, "Cel");
  EXPECT_DOUBLE_EQ(two.value, 30);
  EXPECT_EQ(two.members, 2u);
  EXPECT_EQ(two.left_out, 0u);
  Confirm(3, 1, 1);
  EXPECT_DOUBLE_EQ(Told({1, 2, 3})->value, 130. / 3);
  const Mean live = *Told({2});
  EXPECT_DOUBLE_EQ(live.value, 40);
  EXPECT_EQ(live.left_out, 2u);
  EXPECT_FALSE(Told({}).has_value()) << "of nobody there is no mean";
}

TEST_F(MeansTest, LeavesOutWhatItsSenderDoubtsAndWhatIsNoNumberOrOfALeftStream) {
  Reading(1, 1, 10);
  Reading(2, 1, 1000, v1::QUALITY_BAD);
  Reading(3, 1, std::numeric_limits<double>::quiet_NaN());
  Reading(4, 1, 1000, v1::QUALITY_GOOD, false);
  for (const int member : {1, 2, 3, 4}) Confirm(member, 1, 1);
  means.OnAlarm(SecurityEvent());
  const Mean mean = *Told({1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(mean.value, 10);
  EXPECT_EQ(mean.members, 1u);
  EXPECT_EQ(mean.left_out, 2u);
  EXPECT_EQ(mean.alarms, 1u);
}

TEST_F(MeansTest, NamesWhoSaysWhatIsNotPossibleAndLeavesItOut) {
  const auto declared = Plausible::Parse("temperature=-40..125 Cel");
  ASSERT_TRUE(declared.ok()) << declared.status();
  Means strict([this](const Mean& mean) { told = mean; }, {*declared});
  const auto say = [&](int member, double value, const char* unit) {
    if (!places.contains(member)) PlaceOf(member);
    v1::ReadingBatch batch;
    batch.add_channels()->set_name("temperature");
    batch.mutable_channels(0)->set_unit(unit);
    v1::Reading& reading = *batch.add_readings();
    reading.set_value(value);
    reading.set_quality(v1::QUALITY_GOOD);
    ReadRecord record;
    record.place = &places[member];
    record.sequence = 1;
    record.confirmed = true;
    strict.OnReadings(record, batch, true);
  };
  say(1, 20, "Cel");
  say(2, 125, "Cel");
  say(3, 125.1, "Cel");
  say(4, 70, "[degF]");
  std::vector<StreamStatus> streams;
  for (const auto& [member, place] : places) {
    StreamStatus& status = streams.emplace_back();
    status.place = place;
    status.current = true;
    status.liveness = Liveness::kLive;
  }
  strict.OnState(streams);
  ASSERT_TRUE(told.has_value());
  EXPECT_DOUBLE_EQ(told->value, 72.5);
  EXPECT_EQ(told->unit, "Cel");
  EXPECT_EQ(told->members, 2u);
  EXPECT_EQ(told->implausible.size(), 2u);
  for (const char* text :
       {"", "=1..2 Cel", "t=1..2", "t=1..2 ", "t=2..1 Cel", "t=a..b Cel", "t 1..2 Cel", "t=1.2 Cel"})
    EXPECT_TRUE(absl::IsInvalidArgument(Plausible::Parse(text).status())) << text;
}

TEST_F(MeansTest, HoldsAtMostSoMuchOfAStreamThatIsNeverSignedFor) {
  for (uint64_t s = 0; s <= Means::kMaxPending; ++s) Reading(1, s, static_cast<double>(s));
  Confirm(1, 0, 0);
  EXPECT_FALSE(Told({1}).has_value()) << "the oldest has gone";
  Confirm(1, 1, 1);
  EXPECT_DOUBLE_EQ(Told({1})->value, 1);
}

}  // namespace
}  // namespace keystead::mobile
