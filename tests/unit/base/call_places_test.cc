#include "core/base/call_places.h"

#include <gtest/gtest.h>

#include <vector>

namespace keystead {
namespace {

// As many as there are.
std::vector<CallPlaces::Place> All(CallPlaces& places, std::string_view group, std::string_view caller) {
  std::vector<CallPlaces::Place> out;
  while (true) {
    CallPlaces::Place place = places.Enter(group, caller);
    if (place == nullptr) return out;
    out.push_back(std::move(place));
  }
}

TEST(CallPlacesTest, EveryLimitCountsForItself) {
  CallPlaces places({.total = 6, .of_group = 4, .of_caller = 3});
  const auto first = All(places, "a", "one");
  EXPECT_EQ(first.size(), 3u);
  const auto second = All(places, "a", "two");
  EXPECT_EQ(second.size(), 1u);
  EXPECT_EQ(All(places, "b", "three").size(), 2u);
}

TEST(CallPlacesTest, APlaceIsGivenBackWithItsLastHolder) {
  CallPlaces places({.total = 1, .of_group = 1, .of_caller = 1});
  CallPlaces::Place place = places.Enter("a", "one");
  CallPlaces::Place copy = place;
  place.reset();
  EXPECT_EQ(places.Enter("a", "one"), nullptr);
  copy.reset();
  EXPECT_NE(places.Enter("a", "one"), nullptr);
}

// One may have much while there is much, and never what the others need.
TEST(CallPlacesTest, OneCallerAloneMayHaveHalf) {
  CallPlaces places({.total = 16, .of_group = 16, .of_caller = 2, .of_caller_alone = 100});
  const auto greedy = All(places, "", "balancer");
  EXPECT_EQ(greedy.size(), 8u);
  std::vector<std::vector<CallPlaces::Place>> others;
  for (const char* name : {"a", "b", "c", "d"}) {
    others.push_back(All(places, "", name));
    EXPECT_EQ(others.back().size(), 2u) << name;
  }
  EXPECT_EQ(places.Enter("", "e"), nullptr);
}

}  // namespace
}  // namespace keystead
