#include "core/sealing/pass_record.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace keystead {
namespace {

TEST(PassRecordTest, NamesTheFirstHoleWithinWhatIsShown) {
  PassRecord pass(10);
  EXPECT_EQ(pass.FirstHole({}), std::nullopt) << "nothing is shown: a stream that was dropped";
  for (const uint64_t s : {3u, 4u, 7u, 8u, 9u, 12u}) pass.See(s);
  EXPECT_EQ(pass.FirstHole({}), 5u);
  EXPECT_EQ(pass.FirstHole(std::vector<SequenceRange>{{5, 5}}), 6u);
  EXPECT_EQ(pass.FirstHole(std::vector<SequenceRange>{{5, 5}, {6, 6}}), std::nullopt);
  EXPECT_EQ(pass.shown_to(), 13u);
}

TEST(PassRecordTest, TheEndBelongsToIt) {
  PassRecord pass(10);
  for (const uint64_t s : {0u, 1u, 10u, 11u}) pass.See(s);
  EXPECT_EQ(pass.FirstHole({}), 2u);
  EXPECT_EQ(pass.FirstHole(std::vector<SequenceRange>{{2, 9}}), std::nullopt);
}

TEST(PassRecordTest, AgreesWithASet) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    const uint64_t end = 1 + random() % 20;
    PassRecord pass(end);
    std::set<uint64_t> shown;
    std::set<uint64_t> absent;
    std::vector<SequenceRange> ranges;
    for (uint64_t s = 0; s < end; ++s) {
      if (random() % 4 != 0) continue;
      absent.insert(s);
      ranges.push_back({s, s});
    }
    for (unsigned i = random() % 40; i > 0; --i) {
      const uint64_t s = random() % (end + 5);
      pass.See(s);
      if (s < end) shown.insert(s);
    }
    std::optional<uint64_t> hole;
    if (!shown.empty()) {
      for (uint64_t s = *shown.begin(); s < end && !hole.has_value(); ++s) {
        if (!shown.contains(s) && !absent.contains(s)) hole = s;
      }
    }
    ASSERT_EQ(pass.FirstHole(ranges), hole) << round;
  }
}

TEST(PassRecordTest, IsBoundedWhateverAHopShows) {
  PassRecord pass(uint64_t{1} << 24);
  for (uint64_t s = 0; s < 100000; s += 2) pass.See(s);
  EXPECT_EQ(pass.FirstHole({}), 1u);
}

}  // namespace
}  // namespace keystead
