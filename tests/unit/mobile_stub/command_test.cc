#include "mobile-stub/command_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using ::testing::HasSubstr;
using testing::Home;
using testing::Must;
using testing::Witness;

class CommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = home_.NewDevice("bulb", "lightbulb");
    home_.Pair({device_.get()});
    engine_ = home_.App();
  }
  static SendRequest Request(const std::string& operation) {
    SendRequest request;
    request.target = "bulb";
    request.operation = {operation, std::nullopt};
    request.timeout = testing::kPatience;
    return request;
  }
  absl::StatusOr<SendOutcome> Send(const SendRequest& request) {
    return SendCommand(*engine_, request, nullptr);
  }

  Home home_;
  std::unique_ptr<testing::TestDevice> device_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(CommandTest, IsDoneAndAnsweredForExactlyThisCommand) {
  const SendOutcome first = Must(Send(Request("on")));
  EXPECT_EQ(first.answer.result, CommandResult::kDone);
  EXPECT_EQ(first.answer.command_hash, first.command_hash);
  EXPECT_EQ(first.word, Liveness::kLive);
  EXPECT_EQ(first.attempts, 1);
  EXPECT_EQ(device_->commands_done(), 1u);
  SendRequest dim = Request("brightness");
  dim.operation.argument = 40;
  const SendOutcome second = Must(Send(dim));
  EXPECT_EQ(second.answer.result, CommandResult::kDone);
  EXPECT_GT(second.counter, first.counter);
  EXPECT_EQ(device_->commands_done(), 2u);
}

TEST_F(CommandTest, ExpiredIsAnOutcomeAndNothingHappened) {
  device_->late_seconds = 1000;
  EXPECT_EQ(Must(Send(Request("on"))).answer.result, CommandResult::kExpired);
  EXPECT_EQ(device_->commands_done(), 0u);
}

TEST_F(CommandTest, UnsupportedIsAnOutcome) {
  EXPECT_EQ(Must(Send(Request("fly"))).answer.result, CommandResult::kUnsupported);
}

TEST_F(CommandTest, IsSignedAnewOnceAfterAReboot) {
  device_->reboot_on_command = true;
  const SendOutcome outcome = Must(Send(Request("on")));
  EXPECT_EQ(outcome.answer.result, CommandResult::kDone);
  EXPECT_EQ(outcome.attempts, 2);
  EXPECT_EQ(device_->commands_done(), 1u);
}

TEST_F(CommandTest, SilentDeviceIsNotSentAnything) {
  device_->mute = true;
  SendRequest request = Request("on");
  request.timeout = absl::Seconds(2);
  const auto outcome = Send(request);
  EXPECT_TRUE(absl::IsFailedPrecondition(outcome.status())) << outcome.status();
  request.force = true;  // the opening is a word, if an old one; but nobody answers
  EXPECT_TRUE(absl::IsDeadlineExceeded(Send(request).status()));
}

TEST_F(CommandTest, UnknownNamesAndNonDevicesAreRefused) {
  SendRequest request = Request("on");
  request.target = "blub";
  EXPECT_TRUE(absl::IsInvalidArgument(Send(request).status()));
  request.target = "app-home";
  EXPECT_TRUE(absl::IsInvalidArgument(Send(request).status()));
}

// The hop's word on a command is no answer: it may have forwarded it all the same.
TEST_F(CommandTest, RefusalOfTheHopIsNotTakenForAnAnswer) {
  home_.hop().RefuseSender(Must(engine_->state().LoadMember()).identity().self);
  SendRequest request = Request("on");
  request.force = true;
  request.timeout = absl::Seconds(3);
  const absl::Status status = Send(request).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("whether it acted is not known"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("says it refused"));
}

// A hop that forwards the command and tells its sender that it was refused: the device's answer counts.
TEST_F(CommandTest, AnswerCountsWhenTheHopSaysItRefused) {
  home_.hop().RefuseAfterStoring(Must(engine_->state().LoadMember()).identity().self);
  const SendOutcome outcome = Must(Send(Request("on")));
  EXPECT_EQ(outcome.answer.result, CommandResult::kDone);
  EXPECT_EQ(device_->commands_done(), 1u);
}

TEST_F(CommandTest, WorksBesideAWatch) {
  Witness witness;
  WatchOptions options;
  options.probe_interval = absl::Milliseconds(200);
  options.save_interval = absl::Milliseconds(50);
  const auto watch = Must(WatchSession::Start(*engine_, &witness, options));
  ASSERT_TRUE(watch->AwaitCaughtUp(testing::kPatience));
  for (int i = 0; i < 5; ++i) {
    const auto other_process = home_.App();
    EXPECT_EQ(Must(SendCommand(*other_process, Request("on"), nullptr)).answer.result, CommandResult::kDone);
  }
  device_->SendReading(3, true);
  witness.Await([](const Witness& w) { return !w.readings().empty(); }, "readings");
  EXPECT_EQ(device_->commands_done(), 5u);
  ASSERT_TRUE(watch->Stop().ok());
  // Nobody takes one of the five streams for a clone of another.
  EXPECT_TRUE(witness.alarms().empty()) << witness.alarms().front().detail;
}

}  // namespace
}  // namespace keystead::mobile
