#include "core/base/topic.h"

#include "absl/container/flat_hash_set.h"
#include "core/base/random.h"
#include "gtest/gtest.h"

namespace keystead {
namespace {

const std::string kMember = "00112233445566778899aabbccddeeff";

TEST(TopicTest, ParsesEveryKind) {
  const auto telemetry = Topic::Parse("telemetry/" + kMember);
  ASSERT_TRUE(telemetry.ok());
  EXPECT_EQ(telemetry->kind(), TopicKind::kTelemetry);
  EXPECT_EQ(telemetry->member().ToHex(), kMember);
  EXPECT_EQ(telemetry->group(), "");
  EXPECT_TRUE(telemetry->is_sealed());
  EXPECT_FALSE(telemetry->signs_every_record());
  const auto command = Topic::Parse("command/" + kMember);
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(command->kind(), TopicKind::kCommand);
  EXPECT_TRUE(command->signs_every_record());
  const auto state = Topic::Parse("state/" + kMember);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->kind(), TopicKind::kState);
  EXPECT_TRUE(state->signs_every_record());
  const auto keyring = Topic::Parse("keyring");
  ASSERT_TRUE(keyring.ok());
  EXPECT_EQ(*keyring, Topic::Keyring());
  EXPECT_EQ(keyring->member(), MemberId());
  EXPECT_FALSE(keyring->is_sealed());
  EXPECT_FALSE(keyring->signs_every_record());
}

TEST(TopicTest, TextIsCanonical) {
  for (const std::string& text :
       {std::string("keyring"), "telemetry/" + kMember, "telemetry/" + kMember + "/a",
        "telemetry/" + kMember + "/" + std::string(32, 'z'), "telemetry/" + kMember + "/0-9",
        "command/" + kMember, "state/" + kMember}) {
    const auto topic = Topic::Parse(text);
    ASSERT_TRUE(topic.ok()) << text;
    EXPECT_EQ(topic->str(), text);
    EXPECT_EQ(*Topic::Parse(topic->str()), *topic);
  }
  EXPECT_EQ(Topic::Parse("telemetry/" + kMember + "/pulse")->group(), "pulse");
}

TEST(TopicTest, OfAgreesWithParse) {
  SeededRandom random(5);
  for (TopicKind kind : {TopicKind::kTelemetry, TopicKind::kCommand, TopicKind::kState}) {
    const Topic topic = Topic::Of(kind, random.NewId<MemberId>());
    const auto parsed = Topic::Parse(topic.str());
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, topic);
    EXPECT_EQ(parsed->kind(), kind);
    EXPECT_EQ(parsed->member(), topic.member());
  }
}

TEST(TopicTest, RefusesHostileText) {
  std::string upper = kMember;
  upper[31] = 'F';
  std::string zero = kMember;
  zero[5] = '\0';
  for (const std::string& bad : {std::string(),
                                 std::string("/"),
                                 std::string("//"),
                                 std::string("keyring/"),
                                 std::string("keyring/") + kMember,
                                 std::string("Keyring"),
                                 std::string("keyring\n"),
                                 std::string("keyring\0", 8),
                                 std::string(" keyring"),
                                 std::string("telemetry"),
                                 std::string("telemetry/"),
                                 "telemetry//" + kMember,
                                 "/telemetry/" + kMember,
                                 "telemetry/" + kMember + "/",
                                 "telemetry/" + kMember + "//",
                                 "telemetry/" + kMember + "/a/",
                                 "telemetry/" + kMember + "/a/b",
                                 "telemetry/" + kMember.substr(1),
                                 "telemetry/" + kMember + "0",
                                 "telemetry/" + upper,
                                 "telemetry/" + zero,
                                 "telemetry/" + kMember.substr(2) + "0x",
                                 "telemetry/../" + kMember,
                                 "Telemetry/" + kMember,
                                 "telemetr/" + kMember,
                                 "telemetryy/" + kMember,
                                 "commands/" + kMember,
                                 "unknown/" + kMember,
                                 "command/" + kMember + "/group",
                                 "state/" + kMember + "/group",
                                 "telemetry/" + kMember + "/" + std::string(33, 'a'),
                                 "telemetry/" + kMember + "/A",
                                 "telemetry/" + kMember + "/a_b",
                                 "telemetry/" + kMember + "/a b",
                                 "telemetry/" + kMember + "/..",
                                 "telemetry/" + kMember + "/a\n",
                                 "telemetry/" + kMember + "/\xc3\xa9",
                                 "telemetry/" + kMember + std::string("/a\0b", 4),
                                 "telemetry/" + kMember + " ",
                                 std::string(1 << 20, 'a'),
                                 std::string(1 << 20, '/'),
                                 "telemetry/" + std::string(1 << 20, 'a')}) {
    EXPECT_EQ(Topic::Parse(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad.substr(0, 100);
  }
}

TEST(TopicTest, EveryTruncationIsRefused) {
  const std::string text = "telemetry/" + kMember;
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(Topic::Parse(text.substr(0, size)).ok()) << size;
}

// Whatever parses says exactly what it is by its text alone: no two texts name one log.
TEST(TopicTest, WhateverParsesReadsBackToItself) {
  SeededRandom random(11);
  const std::string seed = "telemetry/" + kMember + "/group-1";
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::array<uint8_t, 3> dice{};
    random.Fill(dice);
    std::string text = seed;
    text[dice[0] % text.size()] = static_cast<char>(dice[1]);
    if (dice[2] % 4 == 0) text.resize(dice[2] % text.size());
    const auto topic = Topic::Parse(text);
    if (!topic.ok()) continue;
    ++accepted;
    ASSERT_EQ(topic->str(), text);
    std::string rebuilt = Topic::Of(topic->kind(), topic->member()).str();
    if (!topic->group().empty()) rebuilt += "/" + topic->group();
    ASSERT_EQ(rebuilt, text);
  }
  EXPECT_GT(accepted, 500);
}

TEST(TopicTest, GroupsAndKindsAreDifferentLogs) {
  absl::flat_hash_set<Topic> topics = {*Topic::Parse("telemetry/" + kMember),
                                       *Topic::Parse("telemetry/" + kMember + "/a"),
                                       *Topic::Parse("telemetry/" + kMember + "/b"),
                                       *Topic::Parse("command/" + kMember),
                                       *Topic::Parse("state/" + kMember),
                                       Topic::Keyring(),
                                       Topic()};
  EXPECT_EQ(topics.size(), 6u);  // a default topic is the keyring
}

}  // namespace
}  // namespace keystead
