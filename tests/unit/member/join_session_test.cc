#include "core/member/join_session.h"

#include <gtest/gtest.h>

#include <future>

#include "core/observe/security_event.h"
#include "tests/unit/member/test_owner.h"
#include "tests/unit/member/test_rendezvous.h"

namespace keystead::testing {
namespace {

class JoinSessionTest : public ::testing::Test {
 protected:
  JoinSessionTest()
      : hop_({&rendezvous_}), device_("sensor", "spiffe://acme.keystead.example/device/device-1") {
    owner_.Commit({}, nullptr);
  }
  ~JoinSessionTest() override {
    stop_ = true;
    if (result_.valid()) result_.wait();
  }

  void Run() {
    options_.channel = hop_.DialAs(Role::kDevice);
    options_.responder = device_.responder.get();
    options_.mutex = &mutex_;
    options_.boot = device_.boot;
    options_.clock = &clock_;
    options_.store = [this](const SecretBytes& encoded) {
      ++stored_;
      stored_state_ = encoded.Clone();
      return store_status_;
    };
    options_.on_offer = [this](const JoinResponder::Offer&) { ++offers_; };
    options_.on_event = [this](std::string_view event) {
      absl::MutexLock lock(&events_mutex_);
      events_.emplace_back(event);
    };
    options_.stop = [this] { return stop_.load(); };
    options_.retry = {.initial = absl::Milliseconds(1), .max = absl::Milliseconds(20)};
    result_ = std::async(std::launch::async, [this] { return RunJoinSession(options_); });
  }
  absl::Status Result() {
    EXPECT_EQ(result_.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    return result_.get();
  }
  std::string AwaitAnnouncement() {
    const std::string box = Must(AnnouncementBox(device_.setup_code)).ToString();
    EXPECT_TRUE(Eventually([&] { return !rendezvous_.Box(box).empty(); }));
    return rendezvous_.Box(box).back();
  }
  JoinInitiator SendM1(TestOwner& owner) {
    JoinInitiator join = owner.StartJoin(device_.label(), AsBytes(AwaitAnnouncement()),
                                         RandomSource::System().NewId<MemberId>());
    rendezvous_.Drop(join.m1_box().ToString(), ToString(join.m1()));
    return join;
  }
  absl::StatusOr<JoinedMember> AwaitM2(const JoinInitiator& join) {
    absl::StatusOr<JoinedMember> joined = absl::NotFoundError("no M2");
    Eventually([&] {
      for (const std::string& message : rendezvous_.Box(join.m2_box().ToString())) {
        joined = join.Finish(AsBytes(message));
        if (joined.ok()) return true;
      }
      return false;
    });
    return joined;
  }

  TestRendezvous rendezvous_;
  MemberHop hop_;
  TestOwner owner_;
  TestDevice device_;
  ManualClock clock_;
  JoinSessionOptions options_;
  absl::Mutex mutex_;
  absl::Mutex events_mutex_;
  std::vector<std::string> events_;
  std::atomic<int> stored_ = 0;
  std::atomic<int> offers_ = 0;
  std::atomic<bool> stop_ = false;
  SecretBytes stored_state_;
  absl::Status store_status_;
  std::future<absl::Status> result_;
};

TEST_F(JoinSessionTest, AnswersM1AndEndsWhenOwned) {
  Run();
  const JoinInitiator join = SendM1(owner_);
  ASSERT_TRUE(AwaitM2(join).ok());
  ASSERT_TRUE(Eventually([&] { return offers_ == 1; }));
  {
    absl::MutexLock lock(&mutex_);
    ASSERT_TRUE(device_.responder->BecomeOwned().ok());
  }
  EXPECT_TRUE(Result().ok());
  EXPECT_EQ(events_, (std::vector<std::string>{"armed", "announced", "offered"}));
  EXPECT_EQ(stored_, 2);
}

TEST_F(JoinSessionTest, StopsSoonWhileItWaits) {
  Run();
  AwaitAnnouncement();
  const absl::Time begun = absl::Now();
  stop_ = true;
  EXPECT_TRUE(Result().ok());
  EXPECT_LT(absl::Now() - begun, absl::Seconds(2));
}

TEST_F(JoinSessionTest, StopsSoonWithoutAHop) {
  hop_.Stop();
  Run();
  stop_ = true;
  EXPECT_TRUE(Result().ok());
}

TEST_F(JoinSessionTest, NobodyPairsInTime) {
  Run();
  AwaitAnnouncement();
  clock_.Advance(absl::Minutes(11));
  rendezvous_.FailNextAwait();
  EXPECT_EQ(Result().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(JoinSessionTest, WhatCannotBeStoredIsNotShown) {
  store_status_ = absl::ResourceExhaustedError("disk full");
  Run();
  EXPECT_EQ(Result().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(rendezvous_.Box(Must(AnnouncementBox(device_.setup_code)).ToString()).empty());
}

// An answer to the first M1 once more would make another join secret than the one the app holds.
TEST_F(JoinSessionTest, AfterATransientFailureTheNewestM1KeepsItsAnswer) {
  Run();
  const JoinInitiator first = SendM1(owner_);
  ASSERT_TRUE(AwaitM2(first).ok());
  const JoinInitiator second = SendM1(owner_);
  ASSERT_TRUE(AwaitM2(second).ok());
  ASSERT_TRUE(Eventually([&] { return offers_ == 2; }));
  const Bytes m2 = [&] {
    absl::MutexLock lock(&mutex_);
    return device_.responder->offer()->m2;
  }();
  rendezvous_.FailNextAwait();
  // The same M1 again is answered with the same bytes.
  const size_t answers = rendezvous_.Box(second.m2_box().ToString()).size();
  ASSERT_TRUE(Eventually([&] { return rendezvous_.Box(second.m2_box().ToString()).size() > answers; }));
  EXPECT_EQ(rendezvous_.Box(second.m2_box().ToString()).back(), ToString(m2));
  absl::MutexLock lock(&mutex_);
  EXPECT_EQ(device_.responder->offer()->m2, m2);
}

TEST_F(JoinSessionTest, AnnouncesAgainWhenTheHopLostItsBoxes) {
  Run();
  AwaitAnnouncement();
  rendezvous_.Lose();
  rendezvous_.FailNextAwait();
  clock_.Advance(absl::Seconds(1));
  const JoinInitiator join = SendM1(owner_);
  EXPECT_TRUE(AwaitM2(join).ok());
}

// Its box takes 16 messages, and belongs to whoever pairs it.
TEST_F(JoinSessionTest, AHopThatKeepsFailingIsAnnouncedToEverMoreRarely) {
  Run();
  AwaitAnnouncement();
  const std::string box = Must(AnnouncementBox(device_.setup_code)).ToString();
  const auto fail_twice = [&] {
    rendezvous_.FailNextAwait();
    rendezvous_.FailNextAwait();
    return Eventually([&] { return rendezvous_.failures_to_come() == 0; });
  };
  ASSERT_TRUE(fail_twice());
  EXPECT_EQ(rendezvous_.Box(box).size(), 1u);
  for (size_t announced = 2; announced <= 13; ++announced) {
    clock_.Advance(absl::Seconds(1) * std::min(90, 1 << (announced - 2)));
    ASSERT_TRUE(fail_twice());
    ASSERT_TRUE(Eventually([&] { return rendezvous_.Box(box).size() == announced; }));
  }
  clock_.Advance(absl::Seconds(22));  // 599 seconds are over, and with the next the arming is
  ASSERT_TRUE(fail_twice());
  EXPECT_EQ(rendezvous_.Box(box).size(), 13u);
}

TEST_F(JoinSessionTest, ABusyHopHasLostNothing) {
  Run();
  AwaitAnnouncement();
  for (int i = 0; i < 3; ++i) rendezvous_.FailNextAwait(grpc::StatusCode::RESOURCE_EXHAUSTED);
  clock_.Advance(absl::Minutes(4));
  ASSERT_TRUE(Eventually([&] { return rendezvous_.failures_to_come() == 0; }));
  const JoinInitiator join = SendM1(owner_);
  EXPECT_TRUE(AwaitM2(join).ok());
  EXPECT_EQ(rendezvous_.Box(Must(AnnouncementBox(device_.setup_code)).ToString()).size(), 1u);
}

// A gateway is one peer of its next hop for all devices behind it: they reach its limits together.
TEST_F(JoinSessionTest, LimitOnAnnouncementsIsWaitedFor) {
  rendezvous_.FailNextPuts(2, grpc::StatusCode::RESOURCE_EXHAUSTED);
  Run();
  const std::string box = Must(AnnouncementBox(device_.setup_code)).ToString();
  ASSERT_TRUE(Eventually([&] {
    clock_.Advance(absl::Milliseconds(100));
    return !rendezvous_.Box(box).empty();
  }));
  EXPECT_TRUE(AwaitM2(SendM1(owner_)).ok());
  absl::MutexLock lock(&events_mutex_);
  EXPECT_EQ(events_[1], "announced");
}

TEST_F(JoinSessionTest, NothingIsAnnouncedBeforeTheHopWantsIt) {
  rendezvous_.AskNextPutToWait(absl::Minutes(2));
  Run();
  ASSERT_TRUE(Eventually([&] { return rendezvous_.puts() == 1; }));
  clock_.Advance(absl::Seconds(119));
  const uint64_t seen = rendezvous_.awaits();
  ASSERT_TRUE(Eventually([&] { return rendezvous_.awaits() >= seen + 2; })) << "it listens meanwhile";
  EXPECT_EQ(rendezvous_.puts(), 1u);
  clock_.Advance(absl::Seconds(122));  // and at most as long again
  ASSERT_TRUE(Eventually([&] { return rendezvous_.puts() == 2; }));
}

TEST_F(JoinSessionTest, AnswerThatTheHopDidNotTakeIsBroughtAgain) {
  Run();
  AwaitAnnouncement();
  rendezvous_.FailNextPuts(2, grpc::StatusCode::RESOURCE_EXHAUSTED);
  const JoinInitiator join = SendM1(owner_);
  EXPECT_TRUE(AwaitM2(join).ok());
  EXPECT_TRUE(Eventually([&] { return offers_ == 1; }));
}

TEST_F(JoinSessionTest, TwoOwnersOfOneLabelAreBothRefused) {
  Run();
  const JoinInitiator first = SendM1(owner_);
  ASSERT_TRUE(AwaitM2(first).ok());
  TestOwner thief;
  thief.Commit({}, nullptr);
  SendM1(thief);
  EXPECT_EQ(Result().code(), absl::StatusCode::kAborted);
  absl::MutexLock lock(&events_mutex_);
  EXPECT_EQ(events_.back(), "contested");
}

TEST_F(JoinSessionTest, GarbageIsRefusedCountedAndEndsTheArming) {
  Run();
  AwaitAnnouncement();
  const std::string box = Must(device_.responder->m1_box()).ToString();
  const uint64_t before = SecurityEventCounts()["join_refused"];
  rendezvous_.Drop(box, std::string(5000, 'x'));
  for (int i = 0; i < 20; ++i) rendezvous_.Drop(box, "garbage " + std::to_string(i));
  EXPECT_EQ(Result().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_GE(SecurityEventCounts()["join_refused"], before + 16);
}

TEST_F(JoinSessionTest, AnOfferOfAnEarlierRunIsTakenUp) {
  Run();
  const JoinInitiator join = SendM1(owner_);
  ASSERT_TRUE(AwaitM2(join).ok());
  ASSERT_TRUE(Eventually([&] { return offers_ == 1; }));
  stop_ = true;
  EXPECT_TRUE(Result().ok());
  // Another process of the same device.
  device_.boot = RandomSource::System().NewId<BootId>();
  auto responder = std::make_unique<JoinResponder>(
      JoinResponder::Identity{TestTenant(), device_.id, "temperature",
                              "spiffe://acme.keystead.example/device/device-1", &device_.ik,
                              &device_.setup_code},
      RandomSource::System());
  ASSERT_TRUE(responder->Restore(stored_state_).ok());
  device_.responder = std::move(responder);
  stop_ = false;
  offers_ = 0;
  Run();
  EXPECT_TRUE(Eventually([&] { return offers_ >= 1; }));
  EXPECT_EQ(device_.responder->state(), JoinResponder::State::kOffered);
}

}  // namespace
}  // namespace keystead::testing
