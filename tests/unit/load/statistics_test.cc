#include "tests/load/statistics.h"

#include <gtest/gtest.h>

#include <vector>

namespace keystead::load {
namespace {

TEST(JainIndexTest, IsOneForEqualSharesAndOneNthForOneWhoHasAll) {
  EXPECT_DOUBLE_EQ(JainIndex(std::vector<double>{7, 7, 7, 7}), 1);
  EXPECT_DOUBLE_EQ(JainIndex(std::vector<double>{5, 0, 0, 0}), 0.25);
}

TEST(JainIndexTest, IsThatOfTheDefinition) {
  // (1+2+3)² / (3 · (1+4+9))
  EXPECT_DOUBLE_EQ(JainIndex(std::vector<double>{1, 2, 3}), 36.0 / 42.0);
}

TEST(JainIndexTest, DoesNotDependOnTheUnit) {
  EXPECT_DOUBLE_EQ(JainIndex(std::vector<double>{10, 20, 40}), JainIndex(std::vector<double>{1, 2, 4}));
}

TEST(JainIndexTest, NobodyIsTreatedUnfairlyWhereThereIsNothing) {
  EXPECT_EQ(JainIndex({}), 1);
  EXPECT_EQ(JainIndex(std::vector<double>{0, 0}), 1);
}

TEST(RatioTest, HasNoValueWithoutABase) {
  EXPECT_EQ(Ratio(3, 2), 1.5);
  EXPECT_EQ(Ratio(0, 2), 0.0);
  EXPECT_FALSE(Ratio(3, 0).has_value());
}

}  // namespace
}  // namespace keystead::load
