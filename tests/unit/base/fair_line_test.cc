#include "core/base/fair_line.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace keystead {
namespace {

using Line = FairLine<int>;
constexpr double kQuantum = 10;
constexpr uint64_t kMuch = 1;
constexpr uint64_t kLittle = 2;

void PushMany(Line& line, uint64_t flow, int count) {
  for (int i = 0; i < count; ++i) line.Push(flow, kQuantum, i);
}

// Whose turn it was, each at this cost.
std::vector<uint64_t> Turns(Line& line, size_t count, const std::map<uint64_t, double>& costs) {
  std::vector<uint64_t> out;
  while (out.size() < count) {
    const auto next = line.Take();
    if (!next.has_value()) break;
    line.Pay(next->flow, costs.at(next->flow));
    out.push_back(next->flow);
  }
  return out;
}

TEST(FairLineTest, OneFlowKeepsItsOrder) {
  Line line;
  PushMany(line, kMuch, 100);
  for (int i = 0; i < 100; ++i) {
    const auto next = line.Take();
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(next->item, i);
    line.Pay(kMuch, 7);
  }
  EXPECT_FALSE(line.Take().has_value());
  EXPECT_EQ(line.waiting(), 0);
}

TEST(FairLineTest, WhoComesIntoAFullLineWaitsForOneQuantum) {
  Line line;
  PushMany(line, kMuch, 1000);
  EXPECT_EQ(Turns(line, 20, {{kMuch, 5}}), std::vector<uint64_t>(20, kMuch));
  line.Push(kLittle, kQuantum, 0);
  EXPECT_EQ(Turns(line, 1, {{kLittle, 5}}).front(), kLittle);
}

TEST(FairLineTest, CostsAreSharedAndNotTurns) {
  Line line;
  PushMany(line, kMuch, 10000);
  PushMany(line, kLittle, 10000);
  std::map<uint64_t, double> spent;
  for (const uint64_t flow : Turns(line, 3300, {{kMuch, 20}, {kLittle, 2}}))
    spent[flow] += flow == kMuch ? 20 : 2;
  EXPECT_NEAR(spent[kMuch] / spent[kLittle], 1.0, 0.02);
}

TEST(FairLineTest, AQuantumIsAWeight) {
  Line line;
  for (int i = 0; i < 1000; ++i) {
    line.Push(kMuch, 3 * kQuantum, i);
    line.Push(kLittle, kQuantum, i);
  }
  std::map<uint64_t, int> turns;
  for (const uint64_t flow : Turns(line, 400, {{kMuch, 5}, {kLittle, 5}})) ++turns[flow];
  EXPECT_NEAR(turns[kMuch], 300, 6);
}

// One dear item at a time, each time as if it were new, must not come before those that wait.
TEST(FairLineTest, DebtIsNotForgottenBetweenTwoItems) {
  Line line;
  PushMany(line, kLittle, 1000);
  double of_much = 0;
  double of_little = 0;
  line.Push(kMuch, kQuantum, 0);
  while (of_little < 1000) {
    const auto next = line.Take();
    ASSERT_TRUE(next.has_value());
    if (next->flow == kMuch) {
      line.Pay(kMuch, 100);
      of_much += 100;
      line.Push(kMuch, kQuantum, 0);  // only now: it never has two
    } else {
      line.Pay(kLittle, 1);
      of_little += 1;
    }
  }
  EXPECT_LE(of_much, of_little + 200);
}

// While it is at work nothing of the flow waits, and others pass its place in the line.
TEST(FairLineTest, DebtIsNotForgottenWhileTheItemIsAtWork) {
  Line line;
  line.Push(kMuch, kQuantum, 0);
  const auto at_work = line.Take();
  PushMany(line, kLittle, 100);
  EXPECT_EQ(Turns(line, 30, {{kLittle, 5}}), std::vector<uint64_t>(30, kLittle));
  line.Pay(at_work->flow, 100);
  line.Push(kMuch, kQuantum, 1);
  const std::vector<uint64_t> turns = Turns(line, 12, {{kMuch, 5}, {kLittle, 5}});
  EXPECT_EQ(std::count(turns.begin(), turns.end(), kMuch), 0);
}

TEST(FairLineTest, WhatIsServedAndPaidForLeavesNothing) {
  Line line;
  for (uint64_t flow = 0; flow < 1000; ++flow) line.Push(flow, kQuantum, 0);
  while (const auto next = line.Take()) line.Pay(next->flow, 1);
  line.Push(5000, kQuantum, 0);
  line.Push(5001, kQuantum, 0);
  while (const auto next = line.Take()) line.Pay(next->flow, 1);
  EXPECT_LE(line.flows_known(), 1002);
  for (int i = 0; i < 3000; ++i) {
    line.Push(6000, kQuantum, 0);
    line.Pay(line.Take()->flow, 20);
  }
  EXPECT_LE(line.flows_known(), 1003);
}

}  // namespace
}  // namespace keystead
