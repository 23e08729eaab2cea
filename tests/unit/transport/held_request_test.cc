#include "core/transport/held_request.h"

#include <gmock/gmock.h>

#include "core/base/limits.h"
#include "tests/unit/transport/test_groups.h"

namespace keystead::testing {
namespace {

using ::testing::SizeIs;

v1::HeldRequest Request(int places) {
  const GroupHeader header = TestHeader(1);
  v1::HeldRequest out;
  out.set_tenant(header.tenant.str());
  out.set_instantiation(header.instantiation.ToString());
  for (int n = 0; n < places; ++n) {
    v1::RecordPlace& place = *out.add_places();
    place.set_topic(TestTopic(n % 2).str());
    place.set_sender(header.sender.ToString());
    place.set_epoch(header.epoch);
    place.set_stream(header.stream.ToString());
    place.set_sequence(static_cast<uint64_t>(n));
  }
  return out;
}

absl::StatusCode CodeOf(const v1::HeldRequest& request) { return ParseHeldRequest(request).status().code(); }

TEST(HeldRequestTest, PlacesAreGatheredByTopic) {
  const auto demand = ParseHeldRequest(Request(5));
  ASSERT_TRUE(demand.ok()) << demand.status();
  ASSERT_THAT(demand->topics, SizeIs(2));
  EXPECT_THAT(demand->topics[0].places, SizeIs(3));
  EXPECT_EQ(demand->topics[1].places[1].sequence, 3u);
}

TEST(HeldRequestTest, WhatIsTooMuchOrNoPlaceIsRefused) {
  EXPECT_TRUE(ParseHeldRequest(Request(limits::kMaxHeldPlaces)).ok());
  EXPECT_EQ(CodeOf(Request(limits::kMaxHeldPlaces + 1)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Request(0)), absl::StatusCode::kInvalidArgument) << "neither places nor the newest";
  v1::HeldRequest newest = Request(0);
  newest.set_last(limits::kMaxHeldGroups);
  EXPECT_TRUE(ParseHeldRequest(newest).ok());
  newest.set_last(limits::kMaxHeldGroups + 1);
  EXPECT_EQ(CodeOf(newest), absl::StatusCode::kInvalidArgument);
  newest.set_last(1);
  newest.set_topic_prefix(std::string(1 << 20, 't'));
  EXPECT_EQ(CodeOf(newest), absl::StatusCode::kInvalidArgument);
  for (const auto& spoil : std::vector<std::function<void(v1::HeldRequest&)>>{
           [](v1::HeldRequest& r) { r.set_tenant("no tenant"); },
           [](v1::HeldRequest& r) { r.set_instantiation("short"); },
           [](v1::HeldRequest& r) { r.mutable_places(0)->set_topic("secrets/1"); },
           [](v1::HeldRequest& r) { r.mutable_places(0)->set_topic(std::string(1 << 20, 't')); },
           [](v1::HeldRequest& r) { r.mutable_places(0)->set_sender("short"); },
           [](v1::HeldRequest& r) { r.mutable_places(0)->set_stream(""); }}) {
    v1::HeldRequest request = Request(1);
    spoil(request);
    EXPECT_EQ(CodeOf(request), absl::StatusCode::kInvalidArgument) << request.ShortDebugString();
  }
}

TEST(HeldRequestTest, AnAnswerIsOneMessageAndSaysWhenThereIsMore) {
  v1::HeldResponse response;
  HeldAnswer answer(&response, v1::HOLDER_GATEWAY);
  size_t taken = 0;
  for (int n = 0; n < 8; ++n) {
    v1::HeldGroup group;
    group.set_group(std::string(limits::kMaxGroupBytes, 'g'));
    if (answer.Add(std::move(group))) ++taken;
  }
  EXPECT_EQ(taken, 3u);
  EXPECT_THAT(response.groups(), SizeIs(3));
  EXPECT_TRUE(response.more());
  EXPECT_LE(response.ByteSizeLong(), limits::kMaxMessageBytes);
}

}  // namespace
}  // namespace keystead::testing
