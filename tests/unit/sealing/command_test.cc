#include "core/sealing/command.h"

#include <gtest/gtest.h>

#include "core/cose/cbor.h"
#include "tests/unit/sealing/test_world.h"

namespace keystead {
namespace {

class CommandTest : public testing::Test {
 protected:
  CommandTest() : device_(world_.AddDevice()) {
    command_.target = device_.id();
    command_.signer = world_.owner.id();
    command_.counter = 5;
    command_.boot = world_.random.NewId<BootId>();
    command_.until_uptime = absl::Seconds(100);
    command_.operation = {"brightness", 40};
    gate_ = {device_.id(), command_.boot, absl::Seconds(90), &device_.chain()};
  }
  CommandResult Judge(const Command& command, std::optional<uint64_t> mark = std::nullopt) {
    return JudgeCommand(gate_, command, command.signer, device_.chain().epoch(), mark);
  }
  World world_;
  Party& device_;
  Command command_;
  CommandGate gate_;
};

TEST_F(CommandTest, ObeysTheOwner) {
  EXPECT_EQ(Judge(command_), CommandResult::kDone);
  EXPECT_EQ(Judge(command_, 4), CommandResult::kDone);
}

TEST_F(CommandTest, RefusesEachWrongThing) {
  Command c = command_;
  c.target = world_.owner.id();
  EXPECT_EQ(Judge(c), CommandResult::kNotPermitted) << "for another target";
  EXPECT_EQ(JudgeCommand(gate_, command_, device_.id(), 1, {}), CommandResult::kNotPermitted)
      << "signed by another than it names";
  c = command_;
  c.signer = world_.random.NewId<MemberId>();
  EXPECT_EQ(Judge(c), CommandResult::kNotPermitted) << "a stranger";
  c.signer = device_.id();
  EXPECT_EQ(Judge(c), CommandResult::kNotPermitted) << "a member without the right";
  EXPECT_EQ(JudgeCommand(gate_, command_, command_.signer, 0, {}), CommandResult::kNotPermitted)
      << "of an older epoch";
  EXPECT_EQ(Judge(command_, 5), CommandResult::kReplayed);
  EXPECT_EQ(Judge(command_, 6), CommandResult::kReplayed);
  c = command_;
  c.boot = BootId();
  EXPECT_EQ(Judge(c, 9), CommandResult::kReboot) << "made for another boot";
  gate_.uptime = absl::Seconds(100);
  EXPECT_EQ(Judge(command_), CommandResult::kDone) << "to the last moment";
  gate_.uptime += absl::Milliseconds(1);
  EXPECT_EQ(Judge(command_), CommandResult::kExpired);
  gate_.chain = nullptr;
  EXPECT_EQ(Judge(command_), CommandResult::kNotPermitted);
}

TEST_F(CommandTest, AfterTheLeaseOnlyTheOwnerIsObeyed) {
  Party& phone =
      world_.Add(MemberKind::kReader, {{Topic::Of(TopicKind::kCommand, device_.id()), false, true}});
  Party& second = world_.Add(MemberKind::kOwner);
  gate_.lease_over = true;
  Command c = command_;
  c.signer = phone.id();
  EXPECT_EQ(Judge(c), CommandResult::kLeaseOver);
  c.boot = BootId();
  EXPECT_EQ(Judge(c), CommandResult::kLeaseOver) << "signing anew would not help";
  c.signer = second.id();
  EXPECT_EQ(Judge(c), CommandResult::kLeaseOver) << "an owner whose commits none of this is";
  c.signer = world_.random.NewId<MemberId>();
  EXPECT_EQ(Judge(c), CommandResult::kNotPermitted) << "a stranger learns nothing of it";
  EXPECT_EQ(Judge(command_), CommandResult::kDone);
  gate_.lease_over = false;
  c = command_;
  c.signer = phone.id();
  EXPECT_EQ(Judge(c), CommandResult::kDone);
}

TEST_F(CommandTest, ARightMayBeGrantedAndEndsWithRemoval) {
  Party& phone =
      world_.Add(MemberKind::kReader, {{Topic::Of(TopicKind::kCommand, device_.id()), false, true}});
  Party& spy = world_.Add(MemberKind::kReader, {{Topic::Of(TopicKind::kCommand, device_.id()), true, false}});
  Command c = command_;
  c.signer = phone.id();
  EXPECT_EQ(Judge(c), CommandResult::kDone);
  c.signer = spy.id();
  EXPECT_EQ(Judge(c), CommandResult::kNotPermitted) << "may read commands, not give them";
  world_.Remove(phone);
  c.signer = phone.id();
  EXPECT_EQ(Judge(c), CommandResult::kNotPermitted);
}

TEST_F(CommandTest, DelayOnlyShortensTheDeadline) {
  EXPECT_EQ(CommandDeadline(absl::Seconds(10), absl::Seconds(3), absl::Seconds(30)), absl::Seconds(43));
}

TEST_F(CommandTest, RoundTripAndShapes) {
  for (const std::optional<int64_t> argument : {std::optional<int64_t>(), std::optional<int64_t>(-7)}) {
    command_.operation.argument = argument;
    const Bytes bytes = EncodeCommand(command_);
    const auto read = ParseCommand(bytes);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->target, command_.target);
    EXPECT_EQ(read->signer, command_.signer);
    EXPECT_EQ(read->counter, command_.counter);
    EXPECT_EQ(read->boot, command_.boot);
    EXPECT_EQ(read->until_uptime, command_.until_uptime);
    EXPECT_EQ(read->operation, command_.operation);
    for (size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(ParseCommand(ByteView(bytes).first(size)).ok());
  }
  for (const char* name : {"", "On", "a b", "a\n", "123456789012345678901234567890123"}) {
    command_.operation.name = name;
    EXPECT_FALSE(ParseCommand(EncodeCommand(command_)).ok()) << name;
  }
  cose::CborWriter w;
  w.Array(6).Bstr(MemberId().view()).Bstr(MemberId().view()).Uint(1).Bstr(BootId().view()).Int(-1);
  w.Array(2).Text("on").Null();
  EXPECT_FALSE(ParseCommand(w.bytes()).ok()) << "negative uptime";
}

TEST_F(CommandTest, AnswerRoundTripAndShapes) {
  const Answer answer{world_.random.NewId<Digest>(), CommandResult::kExpired, 5, "late"};
  const Bytes bytes = EncodeAnswer(answer);
  const auto read = ParseAnswer(bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->command_hash, answer.command_hash);
  EXPECT_EQ(read->result, answer.result);
  EXPECT_EQ(read->detail, "late");
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(ParseAnswer(ByteView(bytes).first(size)).ok());
  EXPECT_TRUE(ParseAnswer(cose::EncodeArray(Digest(), 6, 0, "")).ok());
  EXPECT_FALSE(ParseAnswer(cose::EncodeArray(Digest(), 7, 0, "")).ok());
  EXPECT_FALSE(ParseAnswer(cose::EncodeArray(Digest(), 0, 0, std::string(129, 'x'))).ok());
}

}  // namespace
}  // namespace keystead
