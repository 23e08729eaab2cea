#include "backend/mailboxes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "core/base/random.h"
#include "core/transport/limit_status.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::backend {
namespace {

using keystead::testing::Id;
using keystead::testing::kAcme;
using keystead::testing::kGlobex;
using keystead::testing::TestPki;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class MailboxesTest : public ::testing::Test {
 protected:
  MailboxesTest() {
    EXPECT_TRUE(directory_.LoadFolder(TestPki::Shared().folder() + "/tenants").ok());
    storage::Options store;
    store.path = TestPki::Shared().NewFolder() + "/store";
    store.format_name = "test";
    store_ = *storage::LogStore::Open(store);
    tenants_ = *Tenants::Open(*store_, directory_);
    options_.clock = &clock_;
    options_.rate = {.per_second = 10, .burst = 100};
  }
  Mailboxes& Boxes() {
    if (!boxes_.has_value()) boxes_.emplace(options_);
    return *boxes_;
  }
  absl::Status Put(const Principal& peer, const MailboxName& box, std::string message) {
    return Boxes().Put(*tenants_->Of(peer), peer, box, std::move(message));
  }
  // Where the answer of an Await goes.
  struct Waiting {
    std::optional<absl::StatusOr<std::vector<std::string>>> answer;
    uint64_t ticket = 0;
  };
  void Await(const Principal& peer, const MailboxName& box, size_t after, Waiting& waiting) {
    waiting.ticket = Boxes().Await(*tenants_->Of(peer), peer, box, after,
                                   [&waiting](auto answer) { waiting.answer = std::move(answer); });
  }

  TenantDirectory directory_;
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<Tenants> tenants_;
  ManualClock clock_;
  Mailboxes::Options options_;
  std::optional<Mailboxes> boxes_;
  const MailboxName box_ = RandomSource::System().NewId<MailboxName>();
  const Principal phone_ = Principal::ForTesting(Id(absl::StrCat("spiffe://", kAcme, "/app/phone")));
  const Principal bulb_ = Principal::ForTesting(Id(absl::StrCat("spiffe://", kAcme, "/device/bulb")));
  const Principal spy_ = Principal::ForTesting(Id(absl::StrCat("spiffe://", kGlobex, "/app/spy")));
};

TEST_F(MailboxesTest, AnswersAtOnceOrWhenAMessageComes) {
  Waiting first, second, later;
  Await(phone_, box_, 0, first);
  Await(phone_, box_, 1, second);
  EXPECT_FALSE(first.answer.has_value());
  ASSERT_TRUE(Put(bulb_, box_, "one").ok());
  ASSERT_TRUE(first.answer.has_value());
  EXPECT_THAT(**first.answer, ElementsAre("one"));
  EXPECT_FALSE(second.answer.has_value());
  ASSERT_TRUE(Put(bulb_, box_, "two").ok());
  EXPECT_THAT(**second.answer, ElementsAre("two"));
  Await(bulb_, box_, 0, later);
  EXPECT_THAT(**later.answer, ElementsAre("one", "two"));
}

TEST_F(MailboxesTest, ABoxOfAnotherTenantIsAnotherBox) {
  Waiting waiting;
  ASSERT_TRUE(Put(bulb_, box_, "secret").ok());
  Await(spy_, box_, 0, waiting);
  EXPECT_FALSE(waiting.answer.has_value());
  ASSERT_TRUE(Put(spy_, box_, "mine").ok());
  EXPECT_THAT(**waiting.answer, ElementsAre("mine"));
}

TEST_F(MailboxesTest, OfATenantThatWasErasedNothingIsLeftAndNothingComes) {
  Waiting waiting, later, neighbour;
  const MailboxName full = RandomSource::System().NewId<MailboxName>();
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(Put(bulb_, full, std::string(4096, 'x')).ok());
  Await(phone_, box_, 0, waiting);
  Await(spy_, box_, 0, neighbour);
  Boxes().Forget((*tenants_->Of(phone_)).number());
  ASSERT_TRUE(waiting.answer.has_value());
  EXPECT_TRUE(absl::IsUnauthenticated(waiting.answer->status()));
  EXPECT_FALSE(neighbour.answer.has_value());
  EXPECT_TRUE(absl::IsUnauthenticated(Put(bulb_, box_, "late")));
  Await(phone_, full, 0, later);
  ASSERT_TRUE(later.answer.has_value());
  EXPECT_TRUE(absl::IsUnauthenticated(later.answer->status()));
  ASSERT_TRUE(Put(spy_, box_, "mine").ok());
  EXPECT_THAT(**neighbour.answer, ElementsAre("mine"));
}

TEST_F(MailboxesTest, MessagesAndTriesAreLimited) {
  EXPECT_TRUE(absl::IsInvalidArgument(Put(bulb_, box_, "")));
  EXPECT_TRUE(absl::IsInvalidArgument(Put(bulb_, box_, std::string(4097, 'x'))));
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(Put(bulb_, box_, std::string(4096, 'x')).ok()) << i;
  EXPECT_TRUE(absl::IsResourceExhausted(Put(bulb_, box_, "x")));
  Waiting waiting;
  Await(phone_, box_, 0, waiting);
  EXPECT_THAT(**waiting.answer, SizeIs(16));
  Await(phone_, box_, 16, waiting);
  EXPECT_TRUE(absl::IsInvalidArgument(waiting.answer->status()));
}

TEST_F(MailboxesTest, ABoxExpiresTenMinutesAfterItsLastMessage) {
  ASSERT_TRUE(Put(bulb_, box_, "one").ok());
  clock_.Advance(absl::Minutes(9));
  ASSERT_TRUE(Put(bulb_, box_, "two").ok());
  clock_.Advance(absl::Minutes(9));
  Waiting waiting;
  Await(phone_, box_, 0, waiting);
  EXPECT_THAT(**waiting.answer, ElementsAre("one", "two"));
  clock_.Advance(absl::Minutes(1));
  Waiting after;
  Await(phone_, box_, 0, after);
  EXPECT_FALSE(after.answer.has_value());
  ASSERT_TRUE(Put(bulb_, box_, "three").ok());
  EXPECT_THAT(**after.answer, ElementsAre("three"));
}

TEST_F(MailboxesTest, ATenantsShareIsBoundedAndGivenBack) {
  options_.boxes_per_tenant = 2;
  options_.bytes_per_tenant = 10;
  const auto other = [] { return RandomSource::System().NewId<MailboxName>(); };
  ASSERT_TRUE(Put(bulb_, box_, "12345").ok());
  ASSERT_TRUE(Put(bulb_, other(), "1").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Put(bulb_, other(), "1")));   // boxes
  EXPECT_TRUE(absl::IsResourceExhausted(Put(bulb_, box_, "12345")));  // bytes
  EXPECT_TRUE(Put(spy_, other(), "1").ok());                          // others feel nothing
  clock_.Advance(absl::Minutes(10));
  EXPECT_TRUE(Put(bulb_, other(), "1234567890").ok());
}

TEST_F(MailboxesTest, OnePeerDoesNotFillItsTenantsShare) {
  options_.boxes_per_tenant = 4;
  options_.bytes_per_tenant = 40;
  options_.boxes_per_peer = 2;
  options_.bytes_per_peer = 20;
  const auto other = [] { return RandomSource::System().NewId<MailboxName>(); };
  const MailboxName shared = other();
  ASSERT_TRUE(Put(phone_, shared, "1").ok());
  ASSERT_TRUE(Put(bulb_, box_, "12345").ok());
  ASSERT_TRUE(Put(bulb_, other(), "1").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Put(bulb_, other(), "1")));  // boxes
  EXPECT_TRUE(Put(bulb_, shared, "12345").ok());                     // one that is there already
  const absl::Status full = Put(bulb_, box_, std::string(10, 'x'));  // bytes
  EXPECT_EQ(LimitNameOf(full), "mailboxes");
  EXPECT_EQ(RetryDelayOf(full), absl::Minutes(1));
  EXPECT_TRUE(Put(phone_, other(), std::string(19, 'x')).ok());  // others feel nothing
  clock_.Advance(absl::Minutes(10));
  EXPECT_TRUE(Put(bulb_, other(), std::string(20, 'x')).ok());
}

TEST_F(MailboxesTest, PeersAreLimitedInRateAndWaitingCalls) {
  options_.rate = {.per_second = 1, .burst = 3};
  options_.waiting_per_peer = 2;
  Waiting waiting[4];
  Await(phone_, box_, 0, waiting[0]);
  Await(phone_, box_, 0, waiting[1]);
  Await(phone_, box_, 0, waiting[2]);
  EXPECT_FALSE(waiting[1].answer.has_value());
  EXPECT_EQ(LimitNameOf(waiting[2].answer->status()), "rendezvous_calls");
  EXPECT_EQ(RetryDelayOf(waiting[2].answer->status()), absl::Seconds(1));
  const absl::Status too_fast = Put(phone_, box_, "x");
  EXPECT_EQ(LimitNameOf(too_fast), "rendezvous_calls");
  EXPECT_EQ(RetryDelayOf(too_fast), absl::Seconds(1));
  EXPECT_TRUE(Put(bulb_, box_, "y").ok());
  clock_.Advance(absl::Seconds(1));
  Await(phone_, box_, 1, waiting[3]);  // the two that waited have been answered
  EXPECT_FALSE(waiting[3].answer.has_value());
}

TEST_F(MailboxesTest, CancelAndStopAnswerOnce) {
  Waiting cancelled, stopped, late;
  Await(phone_, box_, 0, cancelled);
  Await(phone_, box_, 0, stopped);
  Boxes().Cancel(cancelled.ticket);
  Boxes().Cancel(cancelled.ticket);
  EXPECT_TRUE(absl::IsCancelled(cancelled.answer->status()));
  Boxes().Stop();
  EXPECT_TRUE(absl::IsUnavailable(stopped.answer->status()));
  Await(phone_, box_, 0, late);
  EXPECT_TRUE(absl::IsUnavailable(late.answer->status()));
  EXPECT_TRUE(absl::IsUnavailable(Put(bulb_, box_, "x")));
}

}  // namespace
}  // namespace keystead::backend
