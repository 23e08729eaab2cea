// A next hop that lies about commits, or loses its answers: the owner is never locked out, and never
// believes.
#include "mobile-stub/settlement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mobile-stub/membership.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;
using testing::Home;
using testing::Must;
using testing::Witness;

const SpiffeId kOne = *SpiffeId::Parse("spiffe://acme.keystead.example/gateway/one");
const SpiffeId kTwo = *SpiffeId::Parse("spiffe://acme.keystead.example/gateway/two");

class SettlementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = home_.NewDevice("a");
    other_ = home_.NewDevice("b");
    home_.Pair({device_.get(), other_.get()});
    engine_ = home_.App();
  }
  testing::TestRegistry& registry() { return home_.registry(); }
  uint64_t Epoch() { return Must(engine_->state().LoadMember()).chain().epoch(); }
  size_t Pending() { return Must(engine_->state().LoadPending()).size(); }
  bool Belongs(const SpiffeId& transport) {
    return Must(engine_->state().LoadMember()).chain().roster().FindByTransport(transport.str()) != nullptr;
  }
  // The app opens what the device writes under the newest keys.
  void ExpectReads(uint64_t epoch) {
    Witness witness;
    const auto session = Must(WatchSession::Start(*engine_, &witness, {}));
    device_->AwaitEpoch(epoch);
    witness.Await([&](const Witness& w) { return w.epoch() == epoch; }, "the epoch");
    device_->SendReading(17, true);
    witness.Await([](const Witness& w) { return !w.readings().empty(); }, "a reading");
    ASSERT_TRUE(session->Stop().ok());
    EXPECT_EQ(Epoch(), epoch);
  }

  Home home_;
  std::unique_ptr<testing::TestDevice> device_, other_;
  std::unique_ptr<Engine> engine_;
};

class RefusedButStored : public SettlementTest, public ::testing::WithParamInterface<StatusCode> {};

// The hop forwards the commit and says it was refused.
TEST_P(RefusedButStored, IsEnteredBecauseItIsSeen) {
  registry().Lies(1, {.store = true, .answer = GetParam()});
  const absl::StatusOr<Member> member = AddCourier(*engine_, kOne);
  ASSERT_TRUE(member.ok()) << member.status();
  EXPECT_EQ(member->chain().epoch(), 2u);
  EXPECT_EQ(Pending(), 0u);
  ExpectReads(2);
}

// It hides the commit from Fetch as well, until `keyring` brings it to a running watch.
TEST_P(RefusedButStored, IsKeptUntilItIsSeen) {
  registry().shows_below = 2;
  registry().Lies(100, {.store = true, .answer = GetParam()});
  const absl::Status status = AddCourier(*engine_, kOne).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("not confirmed yet"));
  EXPECT_EQ(Epoch(), 1u);
  EXPECT_EQ(Pending(), 1u);
  ExpectReads(2);
  registry().BeHonest();
  EXPECT_EQ(Must(AddCourier(*engine_, kTwo)).chain().epoch(), 3u);
  ExpectReads(3);
}

INSTANTIATE_TEST_SUITE_P(Codes, RefusedButStored,
                         ::testing::Values(StatusCode::ABORTED, StatusCode::PERMISSION_DENIED,
                                           StatusCode::INVALID_ARGUMENT, StatusCode::INTERNAL,
                                           StatusCode::CANCELLED, StatusCode::FAILED_PRECONDITION,
                                           StatusCode::ALREADY_EXISTS));

TEST_F(SettlementTest, RemovalThatIsOnlyClaimedIsNotConfirmed) {
  registry().Lies(100, {.store = false, .answer = StatusCode::OK});
  const absl::Status status = RemoveMember(*engine_, "b").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("not confirmed yet"));
  EXPECT_EQ(Epoch(), 1u);
  EXPECT_EQ(registry().commits, 2u);
  ExpectReads(1);
  // Asked for again, it is the same commit and not a second one.
  registry().BeHonest();
  const Member member = Must(RemoveMember(*engine_, "b"));
  EXPECT_EQ(member.chain().epoch(), 2u);
  EXPECT_EQ(member.chain().roster().Find(other_->self()), nullptr);
  EXPECT_EQ(registry().commits, 3u);
  ExpectReads(2);
}

// The hop shows the app its own commit and nobody else: entered, for there is no telling; but handed over
// again.
TEST_F(SettlementTest, CommitOnlyEchoedIsHandedOverAgain) {
  registry().Lies(1, {.store = false, .answer = StatusCode::OK, .echo = true});
  EXPECT_EQ(Must(AddCourier(*engine_, kOne)).chain().epoch(), 2u);
  EXPECT_EQ(registry().commits, 2u);
  registry().BeHonest();
  EXPECT_EQ(Must(AddCourier(*engine_, kTwo)).chain().epoch(), 3u);
  EXPECT_EQ(registry().commits, 4u);
  ExpectReads(3);
}

TEST_F(SettlementTest, RegistryThatWasPutBackIsHandedWhatItLacks) {
  EXPECT_EQ(Must(AddCourier(*engine_, kOne)).chain().epoch(), 2u);
  registry().ForgetFrom(1);
  EXPECT_EQ(Must(AddCourier(*engine_, kTwo)).chain().epoch(), 3u);
  ExpectReads(3);
}

TEST_F(SettlementTest, CallCancelledByARestartIsMadeAgain) {
  registry().Lies(2, {.store = false, .answer = StatusCode::CANCELLED});
  EXPECT_EQ(Must(AddCourier(*engine_, kOne)).chain().epoch(), 2u);
  EXPECT_EQ(registry().commits, 3u);
}

TEST_F(SettlementTest, JunkInPlaceOfACommitGivesNothingUp) {
  registry().shows_junk = true;
  registry().Lies(100, {.store = false, .answer = StatusCode::ABORTED});
  EXPECT_TRUE(absl::IsUnavailable(AddCourier(*engine_, kOne).status()));
  EXPECT_EQ(Pending(), 1u);
  registry().BeHonest();
  EXPECT_EQ(Must(AddCourier(*engine_, kTwo)).chain().epoch(), 3u);
  EXPECT_TRUE(Belongs(kOne));
}

TEST_F(SettlementTest, HopThatShowsLessIsGivenNoChange) {
  EXPECT_EQ(Must(AddCourier(*engine_, kOne)).chain().epoch(), 2u);
  registry().shows_nothing = true;
  const uint64_t before = registry().commits;
  const absl::Status status = AddCourier(*engine_, kTwo).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("nothing was changed"));
  EXPECT_EQ(Pending(), 0u);
  EXPECT_EQ(registry().commits, before);
}

TEST_F(SettlementTest, RefusedChangeCanBeWithdrawn) {
  registry().Lies(2, {.store = false, .answer = StatusCode::FAILED_PRECONDITION});
  EXPECT_TRUE(absl::IsUnavailable(AddCourier(*engine_, kOne).status()));
  EXPECT_EQ(Must(WithdrawPending(*engine_)), Withdrawal::kWithdrawn);
  EXPECT_EQ(Epoch(), 2u);
  EXPECT_FALSE(Belongs(kOne));
  EXPECT_EQ(Must(WithdrawPending(*engine_)), Withdrawal::kNothing);
  EXPECT_EQ(Must(AddCourier(*engine_, kTwo)).chain().epoch(), 3u);
  ExpectReads(3);
}

// The refusal was a lie: while the owner withdraws, what was to be withdrawn comes to light.
TEST_F(SettlementTest, WithdrawingLosesNoKeys) {
  registry().shows_below = 2;
  registry().Lies(1, {.store = true, .answer = StatusCode::ABORTED});
  registry().Lies(100, {.store = false, .answer = StatusCode::ABORTED});
  EXPECT_TRUE(absl::IsUnavailable(AddCourier(*engine_, kOne).status()));
  EXPECT_TRUE(absl::IsUnavailable(WithdrawPending(*engine_).status()));
  EXPECT_EQ(Pending(), 2u);
  registry().BeHonest();
  EXPECT_EQ(Must(WithdrawPending(*engine_)), Withdrawal::kTooLate);
  EXPECT_TRUE(Belongs(kOne));
  ExpectReads(2);
}

TEST_F(SettlementTest, ChangeIsMadeAnewOnTopOfAnother) {
  using keystead::testing::ReadAll, keystead::testing::WriteAll;
  const std::string file = home_.state_folder() + "/pending";
  registry().Lies(8, {.store = false, .answer = StatusCode::ABORTED});
  EXPECT_TRUE(absl::IsUnavailable(AddCourier(*engine_, kOne).status()));
  const std::string first = ReadAll(file);
  EXPECT_EQ(Must(WithdrawPending(*engine_)), Withdrawal::kWithdrawn);
  WriteAll(file, first);  // as if the commit in its place had been another app's
  EXPECT_EQ(Must(Settle(*engine_, testing::kPatience)), Settled::kSuperseded);
  EXPECT_EQ(Pending(), 0u);
  WriteAll(file, first);
  EXPECT_EQ(Must(AddCourier(*engine_, kTwo)).chain().epoch(), 3u);
  EXPECT_FALSE(Belongs(kOne));
  ExpectReads(3);
}

TEST(SettlementBeginningTest, FoundingThatIsRefusedIsTheSameFoundingAgain) {
  Home home;
  const auto device = home.NewDevice("a");
  home.registry().Lies(100, {.store = true, .answer = StatusCode::PERMISSION_DENIED});
  home.registry().shows_nothing = true;
  int shown = 0;
  const RecoverySink sink = [&](const SecretBytes&) {
    ++shown;
    return absl::OkStatus();
  };
  const auto engine = home.App();
  EXPECT_TRUE(absl::IsUnavailable(EnsureInstantiation(*engine, sink)));
  EXPECT_TRUE(absl::IsFailedPrecondition(WithdrawPending(*engine).status()));
  home.registry().BeHonest();
  home.Pair({device.get()});
  EXPECT_EQ(shown, 1);
  EXPECT_EQ(home.registry().commits, 2u);
}

}  // namespace
}  // namespace keystead::mobile
