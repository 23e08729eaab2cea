#include "core/observe/event_limiter.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace keystead {
namespace {

constexpr auto kKind = SecurityEventKind::kMalformed;
constexpr auto kOther = SecurityEventKind::kNotPermitted;

class EventLimiterTest : public ::testing::Test {
 protected:
  EventLimiterTest() {
    options_.peer_burst = 5;
    options_.peer_per_second = 2;
    options_.kind_burst = 20;
    options_.kind_per_second = 4;
    options_.max_peers = 10;
    limiter_ = std::make_unique<EventLimiter>(options_);
  }
  bool Ask(std::string_view peer, uint64_t count = 1, SecurityEventKind kind = kKind) {
    const EventLimiter::Decision decision = limiter_->Ask(kind, peer, count, now_);
    suppressed_ += decision.suppressed;
    return decision.write;
  }
  int Written(std::string_view peer, int events) {
    int written = 0;
    for (int i = 0; i < events; ++i) written += Ask(peer) ? 1 : 0;
    return written;
  }

  EventLimiter::Options options_;
  std::unique_ptr<EventLimiter> limiter_;
  absl::Duration now_ = absl::Hours(1);
  uint64_t suppressed_ = 0;
};

TEST_F(EventLimiterTest, ABurstPassesAndThenARate) {
  EXPECT_EQ(Written("a", 100), 5);
  now_ += absl::Seconds(1);
  EXPECT_EQ(Written("a", 100), 2);
  now_ += absl::Hours(1);
  EXPECT_EQ(Written("a", 100), 5);
}

TEST_F(EventLimiterTest, OnePeersFloodHidesNoOther) {
  Written("loud", 1000);
  EXPECT_TRUE(Ask("quiet"));
  EXPECT_TRUE(Ask("loud", 1, kOther));
}

TEST_F(EventLimiterTest, PeersOfAnyNumberOfNamesAreRationedTogether) {
  int written = 0;
  for (int i = 0; i < 1000; ++i) written += Ask(std::to_string(i)) ? 1 : 0;
  EXPECT_EQ(written, 20);
  EXPECT_LE(limiter_->peers(), 10u);
  EXPECT_TRUE(Ask("someone", 1, kOther));
}

TEST_F(EventLimiterTest, TellsOnceHowManyEventsHadNoLine) {
  Written("a", 5);
  EXPECT_FALSE(Ask("a", 1024));
  EXPECT_FALSE(Ask("a", 2));
  EXPECT_EQ(suppressed_, 0u);
  now_ += absl::Seconds(1);
  EXPECT_TRUE(Ask("a"));
  EXPECT_EQ(suppressed_, 1026u);
  EXPECT_TRUE(Ask("a"));
  EXPECT_EQ(suppressed_, 1026u);
}

// What a run of attacks injects must be there line by line.
TEST_F(EventLimiterTest, TheUsualRationHoldsHundreds) {
  limiter_ = std::make_unique<EventLimiter>(EventLimiter::Options());
  EXPECT_EQ(Written("a", 1000), 1000);
}

}  // namespace
}  // namespace keystead
