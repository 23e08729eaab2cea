#include "infra-sim/engine.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "tests/unit/infra_sim/fixtures.h"

namespace keystead::infra {
namespace {

std::string Bytes1(uint64_t sequence = 10, int records = 1) {
  return Group(Header(), sequence, records).SerializeAsString();
}

TEST(EngineTest, CountIsSpentInRecordsAndThenTrafficPasses) {
  AttackEngine engine({});
  auto attack = Attack(v1::ATTACK_MODIFY, v1::TARGET_COSE_TAG);
  attack.set_count(3);
  ASSERT_TRUE(engine.Arm(attack).ok());
  EXPECT_TRUE(engine.Decide("a", Direction::kUp, Bytes1(10, 2)).has_value());
  EXPECT_TRUE(engine.Decide("a", Direction::kUp, Bytes1(12, 2)).has_value());
  EXPECT_FALSE(engine.armed());
  EXPECT_FALSE(engine.Decide("a", Direction::kUp, Bytes1(14, 2)).has_value());
  EXPECT_EQ(engine.Injections(0).injections_size(), 3);
}

TEST(EngineTest, ListenerDirectionAndDisarmAreObeyed) {
  AttackEngine engine({});
  auto attack = Attack(v1::ATTACK_DROP);
  attack.set_direction("down");
  attack.set_listener("front");
  const auto number = engine.Arm(attack);
  ASSERT_TRUE(number.ok());
  EXPECT_FALSE(engine.Decide("front", Direction::kUp, Bytes1()).has_value());
  EXPECT_FALSE(engine.Decide("back", Direction::kDown, Bytes1()).has_value());
  EXPECT_TRUE(engine.Decide("front", Direction::kDown, Bytes1()).has_value());
  engine.Disarm(*number);
  EXPECT_FALSE(engine.Decide("front", Direction::kDown, Bytes1()).has_value());
  const auto log = engine.Injections(*number);
  ASSERT_EQ(log.injections_size(), 1);
  EXPECT_EQ(log.injections(0).direction(), "down");
  EXPECT_EQ(log.injections(0).listener(), "front");
}

TEST(EngineTest, WhatIsArmedIsToldUntilItIsSpent) {
  ManualClock clock;
  AttackEngine engine({.clock = &clock});
  auto attack = Attack(v1::ATTACK_MODIFY, v1::TARGET_COSE_TAG);
  attack.set_count(2);
  const auto number = engine.Arm(attack);
  ASSERT_TRUE(number.ok());
  ASSERT_TRUE(engine.Arm(Attack(v1::ATTACK_READ)).ok());
  ASSERT_EQ(engine.ArmedNow().size(), 2u);
  EXPECT_EQ(engine.ArmedNow()[0].attack(), *number);
  EXPECT_EQ(engine.ArmedNow()[0].request().target(), v1::TARGET_COSE_TAG);
  EXPECT_EQ(engine.ArmedNow()[0].left(), 2u);
  EXPECT_EQ(engine.ArmedNow()[1].left(), 0u) << "until disarmed";
  clock.Advance(absl::Seconds(7));
  engine.Decide("a", Direction::kUp, Bytes1(10, 2));
  ASSERT_EQ(engine.ArmedNow().size(), 1u);
  EXPECT_EQ(engine.Injections(*number).injections(0).at_us(), absl::ToUnixMicros(clock.Now()));
}

TEST(EngineTest, ReadingLogsAndLetsAnotherAttackAct) {
  AttackEngine engine({.canaries = {"reading-canary-51bd"}});
  ASSERT_TRUE(engine.Arm(Attack(v1::ATTACK_READ)).ok());
  EXPECT_FALSE(engine.Decide("a", Direction::kUp, Bytes1()).has_value());
  ASSERT_TRUE(engine.Arm(Attack(v1::ATTACK_ACK_AND_DROP)).ok());
  EXPECT_TRUE(engine.Decide("a", Direction::kUp, Bytes1()).has_value());
  const auto log = engine.Injections(1);
  ASSERT_EQ(log.injections_size(), 2);
  EXPECT_EQ(log.injections(0).detail(), "no canary found");
}

TEST(EngineTest, SeenCountsRemembersAndFindsCanaries) {
  AttackEngine engine({.canaries = {"planted-canary-7f3a"}});
  engine.Observe("front", Direction::kUp, Bytes1(1, 3));
  v1::SealedGroup open = Group(Header(), 4, 1);
  open.mutable_records(0)->set_cose("unsealed planted-canary-7f3a here");
  engine.Observe("front", Direction::kUp, open.SerializeAsString());
  const auto seen = engine.Seen(10);
  EXPECT_EQ(seen.records(), 4u);
  ASSERT_EQ(seen.groups_size(), 2);
  EXPECT_EQ(seen.groups(1), open.SerializeAsString());
  ASSERT_EQ(seen.sightings_size(), 1);
  EXPECT_EQ(seen.sightings(0).form(), "raw");
  EXPECT_EQ(seen.sightings(0).first().topic(), open.header().topic());
}

TEST(EngineTest, AnswersFitIntoOneMessage) {
  AttackEngine engine({});
  v1::SealedGroup big = Group(Header(), 1, 1);
  big.mutable_records(0)->set_cose(std::string(200 << 10, 'x'));
  for (uint64_t i = 0; i < 60; ++i) engine.Observe("front", Direction::kUp, big.SerializeAsString());
  const auto seen = engine.Seen(1000);
  EXPECT_GT(seen.groups_size(), 10);
  EXPECT_LE(seen.ByteSizeLong(), limits::kMaxMessageBytes);
}

TEST(EngineTest, RefusalsOfTheNextHopAreNotedAtTheInjection) {
  AttackEngine engine({});
  ASSERT_TRUE(engine.Arm(Attack(v1::ATTACK_DUPLICATE)).ok());
  const auto decision = engine.Decide("a", Direction::kUp, Bytes1());
  ASSERT_TRUE(decision.has_value());
  engine.NoteRefusal(decision->pieces.at(1).injections, 6, "no");
  const uint64_t unknown[] = {12345};
  engine.NoteRefusal(unknown, 6, "no");
  EXPECT_EQ(engine.Injections(0).injections(0).refused_code(), 6);
}

TEST(EngineTest, TheInjectionLogIsBounded) {
  AttackEngine engine({.max_injections = 4});
  ASSERT_TRUE(engine.Arm(Attack(v1::ATTACK_ACK_AND_DROP)).ok());
  for (uint64_t i = 0; i < 10; ++i) engine.Decide("a", Direction::kUp, Bytes1(i));
  const auto log = engine.Injections(0);
  ASSERT_EQ(log.injections_size(), 4);
  EXPECT_EQ(log.injections(3).sequence(), 9u);
}

TEST(EngineTest, TlsAttacksNeedTheirName) {
  AttackEngine engine({});
  const std::string record(
      "\x17\x03\x03\x00\x04"
      "abcd",
      9);
  ASSERT_TRUE(engine.Arm(Attack(v1::ATTACK_DROP)).ok());
  EXPECT_FALSE(engine.DecideTls("r", Direction::kUp, 0, record).has_value());
  auto attack = Attack(v1::ATTACK_MODIFY);
  attack.set_topic_prefix("tls");
  ASSERT_TRUE(engine.Arm(attack).ok());
  EXPECT_TRUE(engine.DecideTls("r", Direction::kUp, 3, record).has_value());
  EXPECT_EQ(engine.Injections(2).injections(0).sequence(), 3u);
}

}  // namespace
}  // namespace keystead::infra
