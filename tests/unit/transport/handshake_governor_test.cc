#include "core/transport/handshake_governor.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace keystead {
namespace {

using Id = HandshakeGovernor::Id;

class HandshakeGovernorTest : public ::testing::Test {
 protected:
  static AddressRange Address(int number) {
    return *AddressRange::Parse(absl::StrCat("2001:db8:", absl::Hex(number), "::/64").c_str());
  }
  bool Arrive(Id id, int address) { return governor().Arrive(id, Address(address), now_); }
  // It arrives and says hello.
  bool Hello(Id id, int address) {
    if (!Arrive(id, address)) return false;
    governor().Hear(id, now_);
    return true;
  }
  std::optional<Id> Begin() { return governor().Begin(now_); }
  std::vector<Id> BeginAll() {
    std::vector<Id> out;
    while (const auto id = Begin()) out.push_back(*id);
    return out;
  }
  std::vector<Id> EndOverdue() {
    std::vector<Id> out;
    while (const auto id = governor().Overdue(now_)) {
      governor().End(*id);
      out.push_back(*id);
    }
    return out;
  }
  HandshakeGovernor& governor() {
    if (!governor_.has_value()) governor_.emplace(limits_);
    return *governor_;
  }

  HandshakeLimits limits_{.per_second = 2,
                          .burst = 4,
                          .pending = 100,
                          .all_per_second = 0,
                          .at_once = 8,
                          .all_pending = 1000,
                          .addresses = 10};
  absl::Duration now_ = absl::Seconds(100);

 private:
  std::optional<HandshakeGovernor> governor_;
};

TEST_F(HandshakeGovernorTest, AnAddressHasABurstAndThenItsRate) {
  for (Id id = 0; id < 4; ++id) EXPECT_TRUE(Arrive(id, 1));
  EXPECT_FALSE(Arrive(4, 1));
  EXPECT_TRUE(Arrive(5, 2)) << "another address has its own";
  now_ += absl::Seconds(1);
  EXPECT_TRUE(Arrive(6, 1));
  EXPECT_TRUE(Arrive(7, 1));
  EXPECT_FALSE(Arrive(8, 1));
}

TEST_F(HandshakeGovernorTest, WhoHasNotFinishedIsBoundedForEachAddress) {
  limits_.pending = 2;
  EXPECT_TRUE(Arrive(1, 1));
  EXPECT_TRUE(Hello(2, 1));
  EXPECT_FALSE(Arrive(3, 1));
  EXPECT_TRUE(Arrive(4, 2));
  governor().End(1);
  EXPECT_TRUE(Arrive(5, 1));
}

TEST_F(HandshakeGovernorTest, ASilentConnectionHasNoTurn) {
  ASSERT_TRUE(Arrive(1, 1));
  EXPECT_EQ(Begin(), std::nullopt);
  governor().Hear(1, now_);
  EXPECT_EQ(Begin(), 1);
  EXPECT_EQ(Begin(), std::nullopt);
}

TEST_F(HandshakeGovernorTest, TurnsGoRoundTheAddresses) {
  limits_.at_once = 16;  // four for each address
  for (Id id = 10; id < 14; ++id) ASSERT_TRUE(Hello(id, 1));
  ASSERT_TRUE(Hello(20, 2));
  ASSERT_TRUE(Hello(30, 3));
  EXPECT_EQ(BeginAll(), (std::vector<Id>{10, 20, 30, 11, 12, 13}));
}

TEST_F(HandshakeGovernorTest, OneAddressHasAQuarterOfThePlacesAndABalancerHalf) {
  limits_.balancers = {*AddressRange::Parse("192.0.2.0/24")};
  for (Id id = 0; id < 4; ++id) ASSERT_TRUE(Hello(id, 1));
  const AddressRange balancer = *AddressRange::Parse("192.0.2.9");
  for (Id id = 10; id < 30; ++id) {
    ASSERT_TRUE(governor().Arrive(id, balancer, now_)) << "no rate of its own";
    governor().Hear(id, now_);
  }
  EXPECT_EQ(BeginAll(), (std::vector<Id>{0, 10, 1, 11, 12, 13}));
  EXPECT_EQ(governor().under_way(), 6u);
  governor().End(0);
  EXPECT_EQ(Begin(), 2);
}

TEST_F(HandshakeGovernorTest, PlacesAreBoundedForAll) {
  for (int address = 0; address < 10; ++address) ASSERT_TRUE(Hello(address, address));
  EXPECT_EQ(BeginAll().size(), 8u);
  governor().End(3);
  EXPECT_EQ(BeginAll().size(), 1u);
}

// Those wait: there is no telling who of them is the cause.
TEST_F(HandshakeGovernorTest, AboveTheRateOfAllTheyWait) {
  limits_.all_per_second = 2;
  for (int address = 0; address < 4; ++address) ASSERT_TRUE(Hello(address, address));
  EXPECT_EQ(BeginAll().size(), 2u);
  const absl::Duration wait = governor().NextLook(now_);
  EXPECT_GT(wait, absl::ZeroDuration());
  EXPECT_LE(wait, absl::Milliseconds(500));
  now_ += wait;
  EXPECT_EQ(BeginAll().size(), 1u);
}

TEST_F(HandshakeGovernorTest, SilenceEnds) {
  ASSERT_TRUE(Arrive(1, 1));
  EXPECT_EQ(EndOverdue(), std::vector<Id>{});
  EXPECT_LE(governor().NextLook(now_), absl::Seconds(1));
  now_ += limits_.silence;
  EXPECT_EQ(EndOverdue(), std::vector<Id>{1});
  EXPECT_EQ(governor().pending(), 0u);
}

TEST_F(HandshakeGovernorTest, AHandshakeEndsAndSoDoesWaiting) {
  limits_.at_once = 1;
  ASSERT_TRUE(Hello(1, 1));
  ASSERT_EQ(Begin(), 1);
  now_ += limits_.handshake - absl::Milliseconds(1);
  EXPECT_EQ(EndOverdue(), std::vector<Id>{}) << "nobody else wants the place";
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(EndOverdue(), std::vector<Id>{1});
}

TEST_F(HandshakeGovernorTest, AStalledHandshakeGoesWhereAnotherWaitsForItsPlace) {
  limits_.at_once = 4;  // one for each address
  for (int address = 0; address < 4; ++address) ASSERT_TRUE(Hello(address, address));
  ASSERT_EQ(BeginAll().size(), 4u);
  ASSERT_TRUE(Hello(9, 9));
  EXPECT_EQ(EndOverdue(), std::vector<Id>{}) << "each has some time";
  now_ += limits_.patience;
  EXPECT_EQ(governor().Overdue(now_), 0);
  governor().End(0);
  EXPECT_EQ(Begin(), 9);
  EXPECT_EQ(governor().Overdue(now_), std::nullopt) << "one place was enough";
}

TEST_F(HandshakeGovernorTest, AStalledHandshakeGoesWhereItsOwnAddressWaits) {
  limits_.at_once = 8;  // two for each address
  for (Id id = 0; id < 3; ++id) ASSERT_TRUE(Hello(id, 1));
  ASSERT_EQ(BeginAll().size(), 2u);
  now_ += limits_.patience;
  EXPECT_EQ(governor().Overdue(now_), 0);
}

TEST_F(HandshakeGovernorTest, TheLongestSilentMakeRoom) {
  limits_.all_pending = 3;
  for (Id id = 0; id < 2; ++id) ASSERT_TRUE(Arrive(id, id));
  EXPECT_EQ(EndOverdue(), std::vector<Id>{});
  now_ += absl::Milliseconds(1);
  ASSERT_TRUE(Arrive(2, 2));
  EXPECT_EQ(EndOverdue(), std::vector<Id>{0});
  EXPECT_EQ(governor().LongestSilent(), 1);
}

// A few addresses that fill all places with connections that wait do not keep others out.
TEST_F(HandshakeGovernorTest, WhoHasMostMakesRoomForANewcomer) {
  limits_.all_pending = 6;
  limits_.pending = 4;
  limits_.at_once = 1;
  for (Id id = 10; id < 14; ++id) ASSERT_TRUE(Hello(id, 1));
  ASSERT_EQ(Begin(), 10);
  ASSERT_TRUE(Hello(20, 2));
  EXPECT_EQ(EndOverdue(), std::vector<Id>{});
  ASSERT_TRUE(Arrive(30, 3));
  EXPECT_EQ(EndOverdue(), std::vector<Id>{11}) << "and not the newcomer, although it alone is silent";
  ASSERT_TRUE(Arrive(40, 4));
  EXPECT_EQ(EndOverdue(), std::vector<Id>{12});
  governor().Hear(40, now_);
  EXPECT_EQ(governor().pending(), 5u);
}

// Who has many addresses neither fills the memory nor makes the server forget.
TEST_F(HandshakeGovernorTest, MemoryIsBoundedAndNobodyIsForgottenForANewcomer) {
  for (int address = 0; address < 10; ++address) {
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(Arrive(address * 10 + i, address));
  }
  for (Id id = 1000; id < 1004; ++id) EXPECT_TRUE(Arrive(id, id)) << "newcomers share one burst";
  for (Id id = 1004; id < 1100; ++id) EXPECT_FALSE(Arrive(id, id));
  EXPECT_EQ(governor().addresses(), 10u);
  for (int address = 0; address < 10; ++address) EXPECT_FALSE(Arrive(500 + address, address)) << address;
  // Who has been quiet long enough is as good as new, and gives its room.
  for (Id id = 0; id < 100; ++id) governor().End(id);
  governor().TakeEvents(now_, true);
  now_ += absl::Seconds(20);
  EXPECT_TRUE(Arrive(2000, 77));
  EXPECT_EQ(governor().addresses(), 1u);
}

TEST_F(HandshakeGovernorTest, OneEventForAnAddressInAnInterval) {
  for (Id id = 0; id < 4; ++id) ASSERT_TRUE(Arrive(id, 1));
  EXPECT_TRUE(governor().TakeEvents(now_).empty());
  EXPECT_FALSE(Arrive(4, 1));
  const std::vector<SecurityEvent> first = governor().TakeEvents(now_);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].kind, SecurityEventKind::kLimitExceeded);
  EXPECT_EQ(first[0].peer, "2001:db8:1::/64");
  EXPECT_EQ(first[0].count, 1u);
  for (Id id = 5; id < 20; ++id) EXPECT_FALSE(Arrive(id, 1));
  EXPECT_TRUE(governor().TakeEvents(now_).empty());
  now_ += limits_.report_interval;
  EXPECT_EQ(EndOverdue().size(), 4u);  // they were silent
  const std::vector<SecurityEvent> second = governor().TakeEvents(now_);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].count, 15u + 4u);
  EXPECT_NE(second[0].detail.find("15 above what an address may ask for, 4 that did not go on"),
            std::string::npos)
      << second[0].detail;
}

TEST_F(HandshakeGovernorTest, AHandshakeThatFailsIsToldAtOnceAndOnce) {
  ASSERT_TRUE(Arrive(0, 1));
  governor().Fail(0);  // not under way yet: it just left
  EXPECT_TRUE(governor().TakeEvents(now_).empty());
  for (Id id = 1; id < 3; ++id) {
    ASSERT_TRUE(Arrive(id, 1));
    governor().Hear(id, now_);
    ASSERT_EQ(governor().Begin(now_), id);
    governor().Fail(id);
    governor().End(id);
  }
  const std::vector<SecurityEvent> events = governor().TakeEvents(now_);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, SecurityEventKind::kHandshakeFailed);
  EXPECT_EQ(events[0].peer, "2001:db8:1::/64");
  EXPECT_EQ(events[0].count, 2u);
  EXPECT_TRUE(governor().TakeEvents(now_, true).empty());
}

TEST_F(HandshakeGovernorTest, WhatIsLeftIsToldAtTheEnd) {
  for (Id id = 0; id < 6; ++id) Arrive(id, 1);
  ASSERT_EQ(governor().TakeEvents(now_).size(), 1u);
  Arrive(7, 1);
  const std::vector<SecurityEvent> rest = governor().TakeEvents(now_, true);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].count, 1u);
}

TEST_F(HandshakeGovernorTest, EndingWhatIsUnknownOrWaitingIsFine) {
  governor().End(5);
  governor().Hear(5, now_);
  ASSERT_TRUE(Hello(1, 1));
  ASSERT_TRUE(Hello(2, 1));
  governor().End(1);
  EXPECT_EQ(BeginAll(), std::vector<Id>{2});
  governor().End(2);
  EXPECT_EQ(governor().pending(), 0u);
  EXPECT_EQ(governor().under_way(), 0u);
}

}  // namespace
}  // namespace keystead
