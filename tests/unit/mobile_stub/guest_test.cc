#include "mobile-stub/guest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"

#include "mobile-stub/command_sender.h"
#include "mobile-stub/members.h"
#include "mobile-stub/membership.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using ::testing::HasSubstr;
using testing::Home;
using testing::kPatience;
using testing::Must;
using testing::TestDevice;
using testing::Witness;

membership::Label Copy(const membership::Label& label) {
  return {label.tenant, label.device_id, label.ckt, label.setup_code.Clone()};
}

// An app of somebody else, with a folder of its own.
class Guest {
 public:
  Guest(const Home& home, const std::string& name, Role role = Role::kApp)
      : folder_(home.state_folder() + "-" + RandomSource::System().NewId<LogId>().ToHex()),
        engine_(Must(Engine::Over(folder_, home.Dial(role),
                                  Must(SpiffeId::Of(testing::HomeHop::AppId().tenant(), role, name))))) {}
  ~Guest() {
    Await().IgnoreError();
    std::filesystem::remove_all(folder_);
  }

  // In a thread of its own; its label once it shows one.
  membership::Label Start(absl::Duration patience = kPatience) {
    struct Shown {
      absl::Notification there;
      membership::Label label;
    };
    const auto shown = std::make_shared<Shown>();
    thread_ = std::thread([this, patience, shown] {
      GuestRequest request;
      request.patience = patience;
      request.show = [&](const membership::Label& own) {
        shown->label = Copy(own);
        shown->there.Notify();
        return absl::OkStatus();
      };
      status_ = JoinAsGuest(*engine_, request, nullptr).status();
      if (!shown->there.HasBeenNotified()) shown->there.Notify();
    });
    shown->there.WaitForNotification();
    return Copy(shown->label);
  }
  absl::Status Await() {
    if (thread_.joinable()) thread_.join();
    return status_;
  }
  const Engine& engine() const { return *engine_; }

 private:
  std::string folder_;
  std::unique_ptr<Engine> engine_;
  std::thread thread_;
  absl::Status status_ = absl::UnknownError("not started");
};

PairRequest Terms(membership::Label label, std::vector<std::string> may_read, Role role = Role::kApp) {
  PairRequest request;
  request.guest = GuestTerms{.who = Must(SpiffeId::Of(label.tenant, role, label.device_id)),
                             .may_read = std::move(may_read)};
  request.labels.push_back(std::move(label));
  request.patience = kPatience;
  return request;
}

absl::Status Pair(const Home& home, const PairRequest& request) {
  const auto engine = home.App();
  const absl::StatusOr<PairOutcome> outcome = PairDevices(*engine, request, Home::IgnoreRecovery(), nullptr);
  if (!outcome.ok()) return outcome.status();
  return outcome->failed.empty() ? absl::OkStatus() : outcome->failed.front().status;
}

class GuestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    kitchen_ = home_.NewDevice("kitchen");
    cellar_ = home_.NewDevice("cellar");
    home_.Pair({kitchen_.get(), cellar_.get()});
  }
  // Lets the guest read what the kitchen measures.
  void LetIn(Guest& guest, std::optional<absl::Time> until = std::nullopt) {
    PairRequest request = Terms(guest.Start(), {"kitchen"});
    request.guest->until = until;
    ASSERT_EQ(Pair(home_, request), absl::OkStatus());
    ASSERT_EQ(guest.Await(), absl::OkStatus());
    Follow();
  }
  // The devices write under the newest keys.
  void Follow() {
    const uint64_t epoch = Owner().chain().epoch();
    for (TestDevice* device : {kitchen_.get(), cellar_.get()}) {
      device->AwaitEpoch(epoch);
      device->EndStream(true);
    }
  }
  Member Owner() const { return Must(home_.App()->state().LoadMember()); }

  Home home_;
  std::unique_ptr<TestDevice> kitchen_, cellar_;
};

TEST_F(GuestTest, ReadsWhatItWasGrantedFromThenOnAndNothingElse) {
  kitchen_->SendReading(1, true);
  cellar_->SendReading(2, true);
  Guest guest(home_, "visitor");
  LetIn(guest);
  const Member member = Must(guest.engine().state().LoadMember());
  const RosterEntry& entry = *member.chain().roster().Find(member.identity().self);
  EXPECT_EQ(entry.kind, MemberKind::kReader);
  EXPECT_EQ(entry.rights,
            (std::vector<Right>{{Topic::Of(TopicKind::kTelemetry, kitchen_->self()), true, false}}));
  EXPECT_FALSE(member.ring().is_full_member());
  const uint64_t epoch = member.chain().epoch();
  const auto holds = [&](uint64_t of, TopicKind kind, const TestDevice& device) {
    return member.ring().SenderKeyFor(of, Topic::Of(kind, device.self()), device.self()).ok();
  };
  EXPECT_TRUE(holds(epoch, TopicKind::kTelemetry, *kitchen_));
  EXPECT_FALSE(holds(epoch, TopicKind::kState, *kitchen_));
  EXPECT_FALSE(holds(epoch, TopicKind::kTelemetry, *cellar_));
  EXPECT_FALSE(holds(epoch - 1, TopicKind::kTelemetry, *kitchen_)) << "from before it came";

  Witness witness;
  const auto session = Must(WatchSession::Start(guest.engine(), &witness, {}));
  cellar_->SendReading(4, true);
  kitchen_->SendReading(3, true);
  witness.Await([](const Witness& w) { return !w.readings().empty() && w.confirmed() > 0; }, "the kitchen");
  ASSERT_TRUE(session->AwaitCaughtUp(kPatience));
  ASSERT_EQ(session->Stop(), absl::OkStatus());
  ASSERT_EQ(witness.readings().size(), 1u);
  EXPECT_EQ(witness.readings()[0].sender, kitchen_->self());
  EXPECT_EQ(witness.readings()[0].value, 3);
  EXPECT_TRUE(witness.alarms().empty())
      << witness.alarms()[0].detail << ": what it was not meant to read is no attack";
}

TEST_F(GuestTest, WhatNoMemberCouldHaveWrittenIsAnAlarmAlsoBeforeItsTime) {
  kitchen_->SendReading(1, true);
  const Payload genuine = kitchen_->last_group();
  Guest guest(home_, "visitor");
  LetIn(guest);
  Witness witness;
  const auto session = Must(WatchSession::Start(guest.engine(), &witness, {}));
  GroupHeaderCache headers;
  const GroupView view = Must(GroupView::Parse(*genuine, headers));
  GroupHeader header = view.header();
  header.sender = RandomSource::System().NewId<MemberId>();
  GroupBuilder group(header);
  ASSERT_TRUE(group.Append(view.records().front().sequence, view.records().front().cose).ok());
  home_.Inject(group.Take());
  witness.Await([](const Witness& w) { return !w.alarms().empty(); }, "the alarm");
  EXPECT_EQ(witness.alarms()[0].kind, SecurityEventKind::kOpenFailed);
}

TEST_F(GuestTest, TellsWhatIsLiveByItsOwnProbes) {
  Guest guest(home_, "visitor");
  LetIn(guest);
  Witness witness;
  const auto session = Must(WatchSession::Start(guest.engine(), &witness, {}));
  kitchen_->SendReading(3, true);
  EXPECT_TRUE(session->AwaitStreams(
      [&](const std::vector<StreamStatus>& streams) {
        if (!streams.empty()) kitchen_->SendReading(3, true);
        return std::ranges::any_of(streams,
                                   [](const StreamStatus& s) { return s.liveness == Liveness::kLive; });
      },
      kPatience));
}

TEST_F(GuestTest, ChangesNothingAndCommandsNothing) {
  Guest guest(home_, "visitor");
  LetIn(guest);
  const auto refused = [](const absl::Status& status) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("guest"));
  };
  const uint64_t commits = home_.registry().submits;
  const auto device = home_.NewDevice("attic");
  PairRequest pair;
  pair.labels.push_back(device->Label());
  refused(PairDevices(guest.engine(), pair, Home::IgnoreRecovery(), nullptr).status());
  refused(
      AddCourier(guest.engine(), Must(SpiffeId::Parse("spiffe://acme.keystead.example/gateway/x"))).status());
  refused(RemoveMember(guest.engine(), "kitchen").status());
  refused(WithdrawPending(guest.engine()).status());
  SendRequest send;
  send.target = "kitchen";
  send.operation = {"on", std::nullopt};
  send.timeout = kPatience;
  refused(SendCommand(guest.engine(), send, nullptr).status());
  EXPECT_EQ(home_.registry().submits, commits);
  EXPECT_TRUE(guest.engine().state().IsGuest()) << "and is what it was";
}

TEST_F(GuestTest, TermsThatMakeNoSenseAreRefusedBeforeAnythingIsSent) {
  Guest guest(home_, "visitor");
  const membership::Label label = guest.Start(absl::Seconds(1));
  const auto with = [&](std::vector<std::string> may_read, std::optional<absl::Time> until = std::nullopt) {
    PairRequest request = Terms(Copy(label), std::move(may_read));
    request.guest->until = until;
    return Pair(home_, request);
  };
  const int puts = home_.rendezvous().puts;
  EXPECT_TRUE(absl::IsInvalidArgument(with({})));
  EXPECT_TRUE(absl::IsInvalidArgument(with({"nobody"})));
  EXPECT_TRUE(absl::IsInvalidArgument(with({"app-home"}))) << "the owner measures nothing";
  EXPECT_TRUE(absl::IsInvalidArgument(with({"kitchen"}, absl::Now() - absl::Seconds(1))));
  EXPECT_LE(home_.rendezvous().puts, puts + 1) << "its own announcement";
  EXPECT_TRUE(absl::IsDeadlineExceeded(guest.Await())) << "and nobody let it in";
  EXPECT_FALSE(guest.engine().state().IsGuest());
}

TEST_F(GuestTest, AGuestIsNoDeviceAndADeviceNoGuest) {
  Guest guest(home_, "visitor");
  PairRequest without = Terms(guest.Start(absl::Seconds(2)), {"kitchen"});
  without.guest.reset();
  EXPECT_TRUE(absl::IsPermissionDenied(Pair(home_, without)))
      << "a guest without terms would get a device's rights";
  const auto device = home_.NewDevice("attic");
  device->Start();
  EXPECT_TRUE(absl::IsPermissionDenied(Pair(home_, Terms(device->Label(), {"kitchen"}))));
  EXPECT_EQ(Owner().chain().roster().entries().size(), 3u) << "the owner and two devices";
}

TEST_F(GuestTest, AThirdPartyComesForATime) {
  Guest guest(home_, "theirs", Role::kThirdParty);
  PairRequest request = Terms(guest.Start(), {"kitchen"}, Role::kThirdParty);
  EXPECT_TRUE(absl::IsInvalidArgument(Pair(home_, request)));
  request.guest->until = absl::Now() + absl::Hours(1);
  EXPECT_EQ(Pair(home_, request), absl::OkStatus());
  EXPECT_EQ(guest.Await(), absl::OkStatus());
}

// The owner says who it is: a guest can say of itself what it likes.
TEST_F(GuestTest, IsWhomTheOwnerNamedAndNobodyElse) {
  Guest theirs(home_, "theirs", Role::kThirdParty);
  const membership::Label label = theirs.Start(absl::Seconds(3));
  EXPECT_TRUE(absl::IsPermissionDenied(Pair(home_, Terms(Copy(label), {"kitchen"}, Role::kApp))))
      << "as an app it would need no end";
  EXPECT_FALSE(theirs.Await().ok());
  PairRequest other = Terms(Copy(label), {"kitchen"});
  other.guest->who = Must(SpiffeId::Parse("spiffe://acme.keystead.example/app/other"));
  EXPECT_TRUE(absl::IsInvalidArgument(Pair(home_, other))) << "not of this label";
  other.guest->who = Must(SpiffeId::Parse("spiffe://acme.keystead.example/device/theirs"));
  EXPECT_TRUE(absl::IsInvalidArgument(Pair(home_, other))) << "no guest can be a device";
  EXPECT_EQ(Owner().chain().roster().entries().size(), 3u);
}

TEST_F(GuestTest, TakesNobodysPlaceAndNobodysName) {
  Guest operators(home_, "console");
  LetIn(operators);
  const std::string prefix = kitchen_->self().ToHex().substr(0, 8);
  for (const std::string& name : {std::string("console"), std::string("kitchen"), prefix}) {
    Guest guest(home_, name, name == "console" ? Role::kApp : Role::kService);
    const auto told = Pair(home_, Terms(guest.Start(absl::Milliseconds(300)), {"cellar"},
                                        name == "console" ? Role::kApp : Role::kService));
    EXPECT_TRUE(absl::IsAlreadyExists(told) || absl::IsInvalidArgument(told)) << name << ": " << told;
  }
  EXPECT_NE(Owner().chain().roster().FindByTransport("spiffe://acme.keystead.example/app/console"), nullptr);
  EXPECT_EQ(Owner().chain().roster().entries().size(), 4u);
}

// Its owner took the label and then let nobody in: with another label it comes in.
TEST_F(GuestTest, ALabelThatWasTakenInVainIsFollowedByAnother) {
  Guest guest(home_, "visitor");
  const membership::Label first = guest.Start(absl::Seconds(2));
  PairRequest device = Terms(Copy(first), {"kitchen"});
  device.guest.reset();
  EXPECT_TRUE(absl::IsPermissionDenied(Pair(home_, device)));
  EXPECT_TRUE(absl::IsDeadlineExceeded(guest.Await()));
  const membership::Label second = guest.Start();
  EXPECT_FALSE(second.setup_code.ConstantTimeEquals(first.setup_code));
  EXPECT_EQ(Pair(home_, Terms(Copy(second), {"kitchen"})), absl::OkStatus());
  EXPECT_EQ(guest.Await(), absl::OkStatus());
}

TEST_F(GuestTest, GoesWhenItIsPutOutOrItsTimeIsOver) {
  Guest removed(home_, "removed"), lapsed(home_, "lapsed");
  LetIn(removed);
  LetIn(lapsed, absl::Now() + absl::Seconds(2));
  EXPECT_TRUE(Owner()
                  .chain()
                  .roster()
                  .FindByTransport("spiffe://acme.keystead.example/app/lapsed")
                  ->expires_at.has_value());
  Witness witness;
  const auto session = Must(WatchSession::Start(removed.engine(), &witness, {}));
  kitchen_->SendReading(1, true);
  witness.Await([](const Witness& w) { return w.readings().size() == 1; }, "what it may read");
  absl::SleepFor(absl::Seconds(2));  // the term itself
  ASSERT_EQ(RemoveMember(*home_.App(), "removed").status(), absl::OkStatus());
  const Member owner = Owner();
  EXPECT_EQ(owner.chain().roster().FindByTransport("spiffe://acme.keystead.example/app/lapsed"), nullptr)
      << "with whatever changes next";
  Follow();
  witness.Await([&](const Witness& w) { return w.epoch() == owner.chain().epoch(); }, "the commit");
  kitchen_->SendReading(2, true);
  Witness other;
  const auto engine = home_.App();
  const auto reading = Must(WatchSession::Start(*engine, &other, {.remember = false}));
  other.Await([](const Witness& w) { return !w.readings().empty() && w.readings().back().value == 2; },
              "the owner");
  ASSERT_EQ(session->Stop(), absl::OkStatus());
  EXPECT_EQ(witness.readings().size(), 1u) << "what came after it went does not open";
}

TEST_F(GuestTest, ALabelStaysTheSameUntilItIsUsedAndAFolderHasOneHome) {
  Guest guest(home_, "visitor");
  const membership::Label first = guest.Start(absl::Milliseconds(300));
  EXPECT_TRUE(absl::IsDeadlineExceeded(guest.Await()));
  const membership::Label again = guest.Start();
  EXPECT_EQ(again.ckt, first.ckt);
  EXPECT_TRUE(again.setup_code.ConstantTimeEquals(first.setup_code));
  ASSERT_EQ(Pair(home_, Terms(Copy(first), {"kitchen"})), absl::OkStatus());
  ASSERT_EQ(guest.Await(), absl::OkStatus());
  const GuestRequest request{.show = [](const membership::Label&) { return absl::OkStatus(); }};
  EXPECT_TRUE(absl::IsFailedPrecondition(JoinAsGuest(guest.engine(), request, nullptr).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(JoinAsGuest(*home_.App(), request, nullptr).status()))
      << "the owner itself";
}

}  // namespace
}  // namespace keystead::mobile
