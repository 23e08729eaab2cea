// The queue as a data structure, and against a model under random histories.
#include "gateway/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>

namespace keystead::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr storage::LogRef kLog{1, 1};
constexpr storage::LogRef kOther{1, 2};
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

storage::Payload Bytes(std::string_view text) { return std::make_shared<const std::string>(text); }

std::vector<std::string> Take(Outbox& outbox, absl::Time now = kNow) {
  std::vector<std::string> out;
  while (true) {
    std::vector<storage::Payload> groups;
    EXPECT_FALSE(outbox.Next(groups, now).has_value());
    if (groups.empty()) return out;
    for (const storage::Payload& group : groups) out.push_back(*group);
  }
}

void Store(Outbox& outbox, storage::LogRef log, uint64_t offset, std::string_view text) {
  outbox.Appended(log, offset, Bytes(text), kNow);
  outbox.Committed(log, offset, true);
}

TEST(OutboxTest, HandsOutInOrderAndSettlesWhenDurable) {
  Outbox outbox({});
  Store(outbox, kLog, 0, "a");
  Store(outbox, kLog, 1, "b");
  Store(outbox, kOther, 0, "c");
  EXPECT_EQ(outbox.GetStats(kNow + absl::Seconds(3)).age, absl::Seconds(3));
  EXPECT_THAT(Take(outbox), ElementsAre("a", "b", "c"));
  EXPECT_EQ(outbox.CursorOf(kLog), 0u);
  EXPECT_THAT(outbox.Durable(2, kNow), IsEmpty());
  EXPECT_EQ(outbox.CursorOf(kLog), 2u);
  EXPECT_EQ(outbox.CursorOf(kOther), 0u);
  EXPECT_EQ(outbox.bytes(), 1u);
  outbox.Durable(3, kNow);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(outbox.GetStats(kNow + absl::Seconds(3)).age, absl::ZeroDuration());
}

TEST(OutboxTest, TheCursorWaitsForTheOwnCommit) {
  Outbox outbox({});
  outbox.Appended(kLog, 0, Bytes("a"), kNow);
  EXPECT_THAT(Take(outbox), ElementsAre("a"));  // before the fsync
  outbox.Durable(1, kNow);
  EXPECT_EQ(outbox.CursorOf(kLog), 0u);
  EXPECT_FALSE(outbox.has_progress());
  outbox.Committed(kLog, 0, true);
  EXPECT_EQ(outbox.CursorOf(kLog), 1u);
  EXPECT_TRUE(outbox.has_progress());
}

TEST(OutboxTest, WhatWasNotCommittedIsTakenBackWhereverItIs) {
  Outbox outbox({});
  Store(outbox, kLog, 0, "a");
  outbox.Appended(kLog, 1, Bytes("lost and durable"), kNow);
  EXPECT_THAT(Take(outbox), ElementsAre("a", "lost and durable"));
  outbox.Durable(2, kNow);
  outbox.Appended(kLog, 2, Bytes("lost and sent"), kNow);
  EXPECT_THAT(Take(outbox), ElementsAre("lost and sent"));
  outbox.Appended(kLog, 3, Bytes("lost"), kNow);
  for (uint64_t offset = 1; offset <= 3; ++offset) outbox.Committed(kLog, offset, false);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(outbox.bytes(), 0u);
  EXPECT_EQ(outbox.CursorOf(kLog), 1u);
  Store(outbox, kLog, 1, "b");  // the offset is given out again
  EXPECT_THAT(Take(outbox), ElementsAre("b"));
  outbox.Durable(3, kNow);  // the answer to what was taken back
  EXPECT_EQ(outbox.CursorOf(kLog), 1u);
  outbox.Durable(4, kNow);
  EXPECT_EQ(outbox.CursorOf(kLog), 2u);
}

TEST(OutboxTest, WhatCameFromTheNextHopStaysHere) {
  Outbox outbox({});
  Store(outbox, kLog, 0, "a");
  outbox.Brought(kLog, 1);
  outbox.Committed(kLog, 1, true);
  Store(outbox, kLog, 2, "b");
  EXPECT_THAT(Take(outbox), ElementsAre("a", "b"));
  outbox.Durable(2, kNow);
  EXPECT_EQ(outbox.CursorOf(kLog), 3u);
  const auto progress = outbox.TakeProgress();
  ASSERT_EQ(progress.size(), 1u);
  EXPECT_THAT(progress[0].passed_skips, ElementsAre(1u));
}

TEST(OutboxTest, ARefusedEntryIsTriedAgainAndThenParkedWhileOthersPass) {
  Outbox outbox({.max_tries = 2, .retry_after = absl::Seconds(1)});
  Store(outbox, kLog, 0, "bad");
  Store(outbox, kLog, 1, "good");
  EXPECT_THAT(Take(outbox), ElementsAre("bad", "good"));
  outbox.Refused(1, absl::PermissionDeniedError("no"));
  EXPECT_THAT(outbox.Durable(2, kNow), IsEmpty());
  EXPECT_EQ(outbox.CursorOf(kLog), 0u);  // the good one has gone, the bad one is still ours
  EXPECT_THAT(Take(outbox), IsEmpty());
  const absl::Time later = kNow + absl::Seconds(1);
  std::vector<storage::Payload> groups;
  const auto demand = outbox.Next(groups, later);
  ASSERT_TRUE(demand.has_value() && demand->retry);
  outbox.Supply(*demand, {{0, Bytes("bad")}}, groups, later);
  ASSERT_EQ(groups.size(), 1u);
  outbox.Refused(3, absl::PermissionDeniedError("no"));
  const auto parked = outbox.Durable(3, later);
  ASSERT_EQ(parked.size(), 1u);
  EXPECT_EQ(parked[0].offset, 0u);
  EXPECT_TRUE(absl::IsPermissionDenied(parked[0].status));
  EXPECT_EQ(outbox.CursorOf(kLog), 2u);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(outbox.TakeProgress()[0].parked.size(), 1u);
}

TEST(OutboxTest, AParkedEntryGetsOneMoreTryAndIsNoPartOfTheQueue) {
  Outbox outbox({.max_tries = 1});
  Store(outbox, kLog, 0, "bad");
  Store(outbox, kLog, 1, "good");
  Take(outbox);
  outbox.Refused(1, absl::PermissionDeniedError("no"));
  outbox.Durable(2, kNow);
  ASSERT_EQ(outbox.TakeProgress()[0].parked.size(), 1u);
  uint64_t ticket = 2;
  const auto again = [&](bool there) {
    outbox.TryParked(kLog, 0, kNow);
    outbox.TryParked(kLog, 0, kNow);  // is under way
    std::vector<storage::Payload> groups;
    const auto demand = outbox.Next(groups, kNow);
    EXPECT_TRUE(demand.has_value() && demand->retry && demand->from == 0);
    outbox.Supply(*demand,
                  there ? std::vector<storage::Entry>{{0, Bytes("bad")}} : std::vector<storage::Entry>(),
                  groups, kNow);
    EXPECT_EQ(groups.size(), there ? 1u : 0u);
    ticket += groups.size();
    EXPECT_TRUE(outbox.empty());
    EXPECT_FALSE(outbox.Next(groups, kNow).has_value());
  };
  again(true);
  outbox.Refused(ticket, absl::PermissionDeniedError("no"));
  EXPECT_THAT(outbox.Durable(ticket, kNow), IsEmpty());
  EXPECT_FALSE(outbox.has_progress());  // its row stays
  again(true);
  outbox.Durable(ticket, kNow);
  EXPECT_THAT(outbox.TakeProgress().at(0).unparked, ElementsAre(0u));
  EXPECT_EQ(outbox.CursorOf(kLog), 2u);
  EXPECT_EQ(outbox.GetStats(kNow).in_flight_bytes, 0u);
  again(false);  // history has discarded it
  EXPECT_THAT(outbox.TakeProgress().at(0).unparked, ElementsAre(0u));
  outbox.TryParked(kLog, 2, kNow);  // was never parked
  std::vector<storage::Payload> groups;
  EXPECT_FALSE(outbox.Next(groups, kNow).has_value());
}

TEST(OutboxTest, WhatNoTryCanMendIsParkedAtOnce) {
  Outbox outbox({});
  Store(outbox, kLog, 0, "bad");
  Take(outbox);
  outbox.Refused(1, absl::InvalidArgumentError("malformed"));
  EXPECT_EQ(outbox.Durable(1, kNow).size(), 1u);
}

TEST(OutboxTest, TheWindowBoundsWhatIsUnderWay) {
  Outbox outbox({.window_bytes = 10, .turn_bytes = 5});
  for (uint64_t i = 0; i < 10; ++i) Store(outbox, kLog, i, "xxxxx");
  EXPECT_EQ(Take(outbox).size(), 2u);
  outbox.Durable(1, kNow);
  EXPECT_EQ(Take(outbox).size(), 1u);
}

TEST(OutboxTest, LogsTakeTurns) {
  Outbox outbox({.turn_bytes = 2});
  for (uint64_t i = 0; i < 4; ++i) Store(outbox, kLog, i, "a");
  for (uint64_t i = 0; i < 4; ++i) Store(outbox, kOther, i, "b");
  EXPECT_THAT(Take(outbox), ElementsAre("a", "a", "b", "b", "a", "a", "b", "b"));
}

// Random histories against a plain model: a store of committed entries, and a next hop that answers at
// random.
class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed), outbox_(std::make_unique<Outbox>(MakeOptions())) {}

  void Run() {
    for (int step = 0; step < 3000; ++step) Step();
    for (int i = 0; i < 400 && !outbox_->empty(); ++i) {
      now_ += absl::Seconds(100);
      FeedAll();
      Answer(true);
    }
    EXPECT_TRUE(outbox_->empty());
    EXPECT_EQ(outbox_->bytes(), 0u);
    for (const auto& [log, entries] : committed_) {
      EXPECT_EQ(outbox_->CursorOf(log), entries.size());
      for (const auto& entry : entries) {
        EXPECT_EQ(there_.contains(*entry.bytes), !entry.foreign) << *entry.bytes;
      }
    }
  }

 private:
  struct Entry {
    storage::Payload bytes;
    bool foreign = false;
  };
  Outbox::Options MakeOptions() {
    return {.memory_bytes = 200,
            .window_bytes = 120,
            .turn_bytes = 40,
            .max_tries = 1000,
            .retry_after = absl::Milliseconds(1)};
  }
  uint64_t Draw(uint64_t below) { return random_() % below; }

  void Step() {
    now_ += absl::Milliseconds(10);
    switch (Draw(4)) {
      case 0:
        return Batch();
      case 1:
        return FeedAll();
      case 2:
        return Answer(false);
      default:
        if (Draw(5) == 0) {  // a restart, with the progress as of some time
          auto progress = outbox_->TakeProgress();
          if (Draw(2) == 0) {
            outbox_->Retain(std::move(progress));
          } else {
            Note(progress);
          }
          if (Draw(3) == 0) Restart();
        }
    }
  }

  void Batch() {
    std::vector<std::pair<storage::LogRef, Entry>> batch;
    const uint64_t count = 1 + Draw(6);
    for (uint64_t i = 0; i < count; ++i) {
      const storage::LogRef log{1, Draw(3)};
      batch.push_back({log, {Bytes(std::to_string(next_++) + std::string(Draw(20), 'x')), Draw(4) == 0}});
    }
    const bool ok = Draw(4) != 0;
    std::map<storage::LogRef, uint64_t> end;
    std::vector<std::pair<storage::LogRef, uint64_t>> placed;
    for (const auto& [log, entry] : batch) {
      uint64_t& at = end.try_emplace(log, committed_[log].size()).first->second;
      if (entry.foreign) {
        outbox_->Brought(log, at);
      } else {
        outbox_->Appended(log, at, entry.bytes, now_);
      }
      placed.emplace_back(log, at++);
      if (Draw(3) == 0) FeedAll();  // early forwarding
      if (Draw(6) == 0) Answer(false);
    }
    if (ok) {
      for (const auto& [log, entry] : batch) {
        committed_[log].push_back(entry);
        if (entry.foreign) skips_[log].insert(committed_[log].size() - 1);
      }
    }
    for (const auto& [log, offset] : placed) outbox_->Committed(log, offset, ok);
  }

  void FeedAll() {
    while (true) {
      std::vector<storage::Payload> groups;
      const auto demand = outbox_->Next(groups, now_);
      if (!demand.has_value() && groups.empty()) return;
      if (demand.has_value()) {
        std::vector<storage::Entry> entries;
        const auto& log = committed_[demand->log];
        for (uint64_t at = demand->from; at < std::min<uint64_t>(demand->to + 2, log.size()); ++at) {
          entries.push_back({at, log[at].bytes});
          if (entries.size() == 3) break;
        }
        outbox_->Supply(*demand, entries, groups, now_);
        if (groups.empty() && entries.empty()) return;
      }
      for (const auto& group : groups) sent_.push_back(*group);
    }
  }

  void Answer(bool all) {
    if (sent_.empty()) return;
    const uint64_t count = all ? sent_.size() : 1 + Draw(sent_.size());
    for (uint64_t i = 0; i < count; ++i) {
      ++ticket_;
      if (!all && Draw(8) == 0) {
        outbox_->Refused(ticket_, absl::PermissionDeniedError("no"));
      } else {
        there_.insert(sent_.front());
      }
      sent_.pop_front();
    }
    EXPECT_THAT(outbox_->Durable(ticket_, now_), IsEmpty());
  }

  void Note(const std::vector<Outbox::Progress>& progress) {
    for (const auto& of : progress) {
      EXPECT_GE(of.cursor, cursors_[of.log]);
      cursors_[of.log] = of.cursor;
      for (const uint64_t offset : of.passed_skips) EXPECT_EQ(skips_[of.log].erase(offset), 1u);
    }
  }

  void Restart() {
    outbox_ = std::make_unique<Outbox>(MakeOptions());
    sent_.clear();
    ticket_ = 0;
    for (const auto& [log, entries] : committed_) {
      Outbox::Restored restored{.log = log, .cursor = cursors_[log], .end = entries.size()};
      for (uint64_t at = restored.cursor; at < restored.end; ++at) {
        if (entries[at].foreign) continue;
        ++restored.entries;
        restored.bytes += entries[at].bytes->size();
      }
      for (const uint64_t skip : skips_[log]) restored.skips.push_back(skip);
      outbox_->Restore(restored, now_);
    }
  }

  std::mt19937_64 random_;
  std::unique_ptr<Outbox> outbox_;
  absl::Time now_ = kNow;
  uint64_t next_ = 0;
  std::map<storage::LogRef, std::vector<Entry>> committed_;
  std::map<storage::LogRef, uint64_t> cursors_;
  std::map<storage::LogRef, std::set<uint64_t>> skips_;
  std::deque<std::string> sent_;
  uint64_t ticket_ = 0;
  std::set<std::string> there_;
};

TEST(OutboxTest, RandomHistoriesLoseNothing) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Model(seed).Run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace keystead::gateway
