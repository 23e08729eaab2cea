// What a session costs whoever runs it, whatever others do meanwhile: memory is bounded, and a scrape waits
// for nobody.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "core/observe/metrics.h"
#include "core/transport/publisher.h"
#include "mobile-stub/watch_session.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using testing::Home;
using testing::Must;
using testing::Witness;

class WatchBoundsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = home_.NewDevice("thermo");
    home_.Pair({device_.get()});
    engine_ = home_.App();
  }
  std::unique_ptr<WatchSession> Begin(WatchObserver* observer) {
    return Must(WatchSession::Start(*engine_, observer, WatchOptions()));
  }

  Home home_;
  std::unique_ptr<testing::TestDevice> device_;
  std::unique_ptr<Engine> engine_;
};

// Its metrics are asked for while it begins, under its lock, by whoever scrapes just then.
class ScrapedAtTheStart final : public WatchObserver {
 public:
  ~ScrapedAtTheStart() override {
    if (scraper_.joinable()) scraper_.join();
  }
  void OnMembership(const MembershipChain&) override {
    if (scraper_.joinable()) return;
    scraper_ = std::thread([this] {
      text_ = RenderMetrics();
      scraped_.Notify();
    });
    in_time_ = scraped_.WaitForNotificationWithTimeout(absl::Seconds(10));
  }
  bool in_time() const { return in_time_; }
  const std::string& text() const { return text_; }

 private:
  std::thread scraper_;
  absl::Notification scraped_;
  std::string text_;
  bool in_time_ = false;
};

TEST_F(WatchBoundsTest, AScrapeMeetsNoSessionThatIsHalfThere) {
  const auto served = [](const std::string& text) {
    return text.find("keystead_reader_connections ") != std::string::npos;
  };
  ScrapedAtTheStart scraped;
  const auto session = Begin(&scraped);
  ASSERT_TRUE(scraped.in_time()) << "a scrape waits for a session that is only beginning";
  EXPECT_FALSE(served(scraped.text()));
  EXPECT_TRUE(served(RenderMetrics()));
  ASSERT_TRUE(session->Stop().ok());
  EXPECT_FALSE(served(RenderMetrics())) << "of a session that has ended";
}

// Holds the session up in its first alarm.
class Blocker final : public WatchObserver {
 public:
  void OnAlarm(const SecurityEvent&) override {
    if (!entered.HasBeenNotified()) entered.Notify();
    released.WaitForNotification();
  }
  absl::Notification entered, released;
};

TEST_F(WatchBoundsTest, AlarmsThatRingElsewhereWhileItIsHeldUpFillNoMemory) {
  Blocker blocker;
  const auto session = Begin(&blocker);
  const auto ring = [] { Report({.kind = SecurityEventKind::kPeerRefused, .peer = "somebody"}); };
  ring();
  ASSERT_TRUE(blocker.entered.WaitForNotificationWithTimeout(testing::kPatience));
  for (int i = 0; i < 5000; ++i) ring();
  blocker.released.Notify();
  const auto count = [&] { return session->AlarmCounts()["peer_refused"]; };
  const absl::Time deadline = absl::Now() + testing::kPatience;
  while (count() < 2 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(20));
  EXPECT_EQ(count(), 1u + 1024u);  // those that wait are told at once, under one lock
  ASSERT_TRUE(session->Stop().ok());
}

TEST_F(WatchBoundsTest, HopThatFloodsTheKeyringFillsNoMemory) {
  constexpr size_t kRecord = 200 << 10;
  constexpr int kRecords = 220;
  Blocker blocker;
  const auto session = Begin(&blocker);
  const Member member = Must(engine_->state().LoadMember());
  std::atomic<int> durable{0};
  PublisherCallbacks on;
  on.on_durable = [&](uint64_t) { ++durable; };
  Publisher publisher(home_.Dial(Role::kService), std::move(on), {.max_buffer_bytes = size_t{64} << 20});
  publisher.Start();
  for (int i = 0; i < kRecords; ++i) {
    GroupBuilder group(GroupHeader{member.identity().tenant, member.identity().id, Topic::Keyring(),
                                   device_->self(), 1, RandomSource::System().NewId<StreamId>()});
    ASSERT_TRUE(group.Append(0, Bytes(kRecord, 0x55)).ok());
    ASSERT_TRUE(publisher.Enqueue(group.Take()).ok());
  }
  const auto await = [](const std::function<bool()>& done, absl::Duration patience) {
    const absl::Time deadline = absl::Now() + patience;
    while (!done() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(20));
    return done();
  };
  EXPECT_TRUE(await([&] { return session->queued_bytes() > (16 << 20); }, testing::kPatience));
  // All of it is 43 MiB: what is held up stays with the hop.
  EXPECT_FALSE(await([&] { return session->queued_bytes() > (22 << 20); }, absl::Seconds(1)));
  blocker.released.Notify();
  EXPECT_TRUE(await([&] { return session->queued_bytes() == 0; }, testing::kPatience));
  publisher.Stop();
  ASSERT_TRUE(session->Stop().ok());
}

}  // namespace
}  // namespace keystead::mobile
