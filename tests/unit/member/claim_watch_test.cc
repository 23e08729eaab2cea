#include "core/member/claim_watch.h"

#include <gtest/gtest.h>

#include "core/crypto/hash.h"
#include "core/observe/security_event.h"
#include "tests/unit/member/test_owner.h"
#include "tests/unit/member/test_rendezvous.h"

namespace keystead::testing {
namespace {

class ClaimWatchTest : public ::testing::Test {
 protected:
  ClaimWatchTest() : hop_({&rendezvous_}), box_(RandomSource::System().NewId<MailboxName>()) {
    ClaimWatch::Options options;
    options.channel = hop_.DialAs(Role::kDevice);
    options.box = box_;
    options.device = "bulb-1";
    watch_ = std::make_unique<ClaimWatch>(options, absl::ZeroDuration());
  }
  // Looks until it has found `count` in all.
  bool FindsInAll(size_t count) {
    return Eventually([&] {
      uptime_ += absl::Minutes(15);
      watch_->Tick(uptime_);
      return watch_->reported() >= count;
    });
  }
  TestRendezvous rendezvous_;
  MemberHop hop_;
  const MailboxName box_;
  absl::Duration uptime_;
  std::unique_ptr<ClaimWatch> watch_;
};

TEST_F(ClaimWatchTest, EveryTryIsReportedOnceAndTheOwnersOwnIsNone) {
  const uint64_t before = SecurityEventCounts()["join_refused"];
  rendezvous_.Drop(box_.ToString(), "the owner's M1");
  watch_->Know(crypto::Sha256(AsBytes(std::string_view("the owner's M1"))));
  rendezvous_.Drop(box_.ToString(), "a try");
  ASSERT_TRUE(FindsInAll(1));
  rendezvous_.Drop(box_.ToString(), "another");
  ASSERT_TRUE(FindsInAll(2));
  rendezvous_.Lose();  // emptied after ten minutes
  rendezvous_.Drop(box_.ToString(), "a third");
  ASSERT_TRUE(FindsInAll(3));
  EXPECT_EQ(watch_->reported(), 3u);
  EXPECT_EQ(SecurityEventCounts()["join_refused"], before + 3);
}

TEST_F(ClaimWatchTest, LooksNotBeforeItIsTimeAndEndsInTheMiddleOfALook) {
  rendezvous_.Drop(box_.ToString(), "a try");
  watch_->Tick(absl::Minutes(9));
  rendezvous_.FailNextAwait();  // would fail a call that is under way; none is
  uptime_ = absl::Minutes(20);
  watch_->Tick(uptime_);
  ASSERT_TRUE(FindsInAll(1)) << "a look that failed is made again";
  rendezvous_.Lose();
  watch_->Tick(uptime_ + absl::Hours(1));  // waits at the hop for something to come
  watch_.reset();
}

TEST_F(ClaimWatchTest, SayingSoIsBounded) {
  for (int i = 0; i < 200; ++i) rendezvous_.Drop(box_.ToString(), std::to_string(i));
  const uint64_t before = SecurityEventCounts()["join_refused"];
  ASSERT_TRUE(FindsInAll(64));
  watch_->Tick(uptime_ + absl::Hours(1));
  EXPECT_EQ(watch_->reported(), 64u);
  EXPECT_EQ(SecurityEventCounts()["join_refused"], before + 64);
}

}  // namespace
}  // namespace keystead::testing
