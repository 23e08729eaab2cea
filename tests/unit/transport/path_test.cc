// Publisher, service and Subscriber together, over real connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/limits.h"
#include "tests/unit/transport/path_clients.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;

TEST(PathTest, GroupsReachTheSubscriberInOrderAndOnce) {
  HopServer server;
  ReadWitness read;
  const auto subscriber = StartSubscriber(server, read, {{.topic = TestTopic(1)}, {.topic = TestTopic(2)}});
  read.AwaitCaughtUp(2);
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  uint64_t last = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    last = *publisher->Enqueue(TestGroup(TestHeader(1 + static_cast<int>(i % 2)), {{i / 2, "x"}}));
  }
  EXPECT_EQ(last, 1000u);
  published.AwaitDurable(last);
  read.AwaitRecords(1000);
  ExpectSequences(read.records()[TestTopic(1).str()], 500);
  ExpectSequences(read.records()[TestTopic(2).str()], 500);
  EXPECT_EQ(server.hop().committed_groups, 1000u);
  // Under load groups travel together, both ways.
  EXPECT_LT(publisher->GetStats().requests, 500u);
  EXPECT_LT(server.service().GetStats().messages_out, 500u);
}

TEST(PathTest, NothingAcknowledgedIsLostAndNothingComesTwiceThroughRestarts) {
  HopServer server;
  ReadWitness read;
  const auto subscriber = StartSubscriber(server, read, {{.topic = TestTopic(1)}});
  PublishWitness published;
  PublisherOptions options = QuickPublisher();
  options.max_groups_per_request = 7;
  const auto publisher = StartPublisher(server, published, options);
  constexpr uint64_t kGroups = 600;
  for (uint64_t i = 0; i < kGroups; ++i) {
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{i, std::string(200, 'x')}})).ok());
    if (i % 150 == 100) {
      published.AwaitDurable(i / 2);  // somewhere in the middle
      server.Stop();
      const uint64_t durable = published.durable();
      server.Start();
      EXPECT_GE(server.Records(1).size(), durable);
    }
  }
  published.AwaitDurable(kGroups);
  read.AwaitRecords(kGroups);
  ExpectSequences(server.Records(1), kGroups);
  ExpectSequences(read.records()[TestTopic(1).str()], kGroups);
  EXPECT_GE(publisher->GetStats().connections, 4u);
}

TEST(PathTest, RefusedGroupsAreNamedAndTheRestGoesThrough) {
  HopServer server;
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  GroupHeader forbidden = TestHeader(1);
  forbidden.sender = server.hop().refused_sender;
  GroupHeader foreign = TestHeader(1);
  foreign.tenant = *TenantName::Parse("globex.keystead.example");
  ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{0, "a"}})).ok());
  const uint64_t not_a_group = *publisher->Enqueue(std::make_shared<const std::string>("junk"));
  const uint64_t not_permitted = *publisher->Enqueue(TestGroup(forbidden, {{5, "b"}, {6, "c"}}));
  const uint64_t of_another = *publisher->Enqueue(TestGroup(foreign, {{0, "d"}}));
  const uint64_t last = *publisher->Enqueue(TestGroup(TestHeader(1), {{1, "e"}}));
  published.AwaitDurable(last);
  const auto refusals = published.refusals();
  ASSERT_EQ(refusals.size(), 3u);
  EXPECT_EQ(refusals[0].first, not_a_group);
  EXPECT_EQ(refusals[0].second.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusals[1].first, not_permitted);
  EXPECT_EQ(refusals[1].second.status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(refusals[1].second.first_sequence, 5u);
  EXPECT_EQ(refusals[1].second.last_sequence, 6u);
  EXPECT_EQ(refusals[2].first, of_another);
  ExpectSequences(server.Records(1), 2);
}

TEST(PathTest, ABusyHopGetsEverythingLaterInOrder) {
  HopServer server;
  server.hop().busy = 3;
  server.hop().hook_failures = 0;
  PublishWitness published;
  PublisherOptions options = QuickPublisher();
  options.max_groups_per_request = 5;
  const auto publisher = StartPublisher(server, published, options);
  for (uint64_t i = 0; i < 50; ++i)
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{i, "x"}})).ok());
  published.AwaitDurable(25);
  server.hop().hook_failures = 2;
  for (uint64_t i = 50; i < 100; ++i)
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{i, "x"}})).ok());
  published.AwaitDurable(100);
  EXPECT_TRUE(published.refusals().empty());
  EXPECT_GE(published.disconnects(), 3);
  ExpectSequences(server.Records(1), 100);
}

TEST(PathTest, ASlowReaderCostsNoMemoryAndMissesNothing) {
  HopServer server;
  PublishWitness published;
  PublisherOptions options = QuickPublisher();
  options.max_buffer_bytes = 64 << 20;
  const auto publisher = StartPublisher(server, published, options);
  ReadWitness read;
  Subscriber subscriber(server.DialAs(Role::kApp), read.Callbacks(), QuickSubscriber());
  subscriber.Pause();
  ASSERT_TRUE(subscriber.Add({{.topic = TestTopic(1)}}).ok());
  subscriber.Start();
  constexpr uint64_t kGroups = 500;  // 32 MB
  for (uint64_t i = 0; i < kGroups; ++i)
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{i, std::string(65536, 'x')}})).ok());
  published.AwaitDurable(kGroups);
  EXPECT_LT(server.service().GetStats().bytes_out, 4u << 20);
  subscriber.Resume();
  read.AwaitRecords(kGroups);
  ExpectSequences(read.records()[TestTopic(1).str()], kGroups);
}

TEST(PathTest, FiveHundredTopicsInOneSubscription) {
  HopServer server;
  std::vector<SubscriberTopic> topics;
  for (int i = 0; i < 500; ++i) topics.push_back({.topic = TestTopic(i)});
  ReadWitness read;
  const auto subscriber = StartSubscriber(server, read, topics);
  read.AwaitCaughtUp(500);
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  for (int i = 0; i < 500; ++i)
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(i), {{0, std::to_string(i)}})).ok());
  read.AwaitRecords(500);
  for (int i = 0; i < 500; ++i)
    EXPECT_THAT(read.records()[TestTopic(i).str()], ElementsAre(std::pair(0, std::to_string(i))));
  // A topic added later joins without repeating the others.
  ASSERT_TRUE(subscriber->Add({{.topic = TestTopic(777)}}).ok());
  ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(777), {{0, "late"}})).ok());
  read.AwaitRecords(501);
  EXPECT_EQ(read.records().size(), 501u);
  EXPECT_TRUE(read.disconnects().empty());
  std::vector<SubscriberTopic> too_many;
  for (int i = 1000; i < 1000 + static_cast<int>(limits::kMaxTopicsPerSubscription); ++i)
    too_many.push_back({.topic = TestTopic(i)});
  EXPECT_EQ(subscriber->Add(too_many).code(), absl::StatusCode::kResourceExhausted);
}

// Records first to last of the topics 1 and 2.
void PublishToBoth(Publisher& publisher, uint64_t first, uint64_t last) {
  for (uint64_t i = first; i <= last; ++i) {
    for (int topic : {1, 2})
      ASSERT_TRUE(publisher.Enqueue(TestGroup(TestHeader(topic), {{i, std::to_string(i)}})).ok());
  }
}

TEST(PathTest, ATopicThatIsRewoundComesAgainFromItsFirstAndTheOthersGoOn) {
  HopServer server;
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  PublishToBoth(*publisher, 0, 9);
  ReadWitness read;
  const auto subscriber = StartSubscriber(server, read, {{.topic = TestTopic(1)}, {.topic = TestTopic(2)}});
  read.AwaitRecords(20);
  subscriber->Rewind(TestTopic(1));
  subscriber->Rewind(TestTopic(3));  // it has no such topic
  read.AwaitRecords(30);
  PublishToBoth(*publisher, 10, 10);
  read.AwaitRecords(32);
  const auto records = read.records();
  ASSERT_EQ(records.at(TestTopic(1).str()).size(), 21u);
  EXPECT_EQ(records.at(TestTopic(1).str())[10].first, 0u);
  ExpectSequences(records.at(TestTopic(2).str()), 11);
  EXPECT_EQ(records.size(), 2u);
  EXPECT_TRUE(read.disconnects().empty());
}

// Both topics' groups come in one message; in the callback of one the other is rewound.
TEST(PathTest, WhatCameTogetherWithTheWishToRewindDoesNotMoveThePositionOn) {
  HopServer server;
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  PublishToBoth(*publisher, 0, 9);
  ReadWitness first;
  auto subscriber = StartSubscriber(server, first, {{.topic = TestTopic(1)}, {.topic = TestTopic(2)}});
  first.AwaitRecords(20);
  std::vector<SubscriberTopic> positions = subscriber->Positions();
  for (SubscriberTopic& position : positions) position.next_offset = 5;
  subscriber.reset();

  ReadWitness read;
  SubscriberCallbacks callbacks = read.Callbacks();
  std::optional<Topic> rewound;
  callbacks.on_entries = [&, witness = callbacks.on_entries](const TopicBatch& batch) {
    if (!rewound.has_value()) {
      rewound = batch.topic == TestTopic(1) ? TestTopic(2) : TestTopic(1);
      subscriber->Rewind(*rewound);
    }
    witness(batch);
  };
  subscriber = std::make_unique<Subscriber>(server.DialAs(Role::kApp), callbacks, QuickSubscriber());
  ASSERT_TRUE(subscriber->Add(positions).ok());
  subscriber->Start();
  read.AwaitRecords(15);
  subscriber->Stop();
  ExpectSequences(read.records().at(rewound->str()), 10);
}

TEST(PathTest, PositionsCountOnTheirOwnLogOnly) {
  HopServer server;
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  for (uint64_t i = 0; i < 10; ++i)
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{i, "x"}})).ok());
  published.AwaitDurable(10);
  const LogId id = (*server.log().FindTopic({kTestTenantNumber, TestInstantiation(), TestTopic(1)}))->id;
  const auto sequences_from = [&](SubscriberTopic position) {
    ReadWitness read;
    const auto subscriber = StartSubscriber(server, read, {position});
    read.AwaitCaughtUp(1);
    std::vector<uint64_t> out;
    auto records = read.records();
    for (const auto& [sequence, bytes] : records[TestTopic(1).str()]) out.push_back(sequence);
    return out;
  };
  EXPECT_EQ(sequences_from({.topic = TestTopic(1)}).size(), 10u);
  EXPECT_THAT(sequences_from({.topic = TestTopic(1), .log_id = id, .next_offset = 8}), ElementsAre(8, 9));
  EXPECT_THAT(sequences_from({.topic = TestTopic(1), .log_id = id, .next_offset = 10}), ElementsAre());
  EXPECT_EQ(sequences_from({.topic = TestTopic(1), .log_id = id, .next_offset = 11}).size(), 10u);
  EXPECT_EQ(sequences_from({.topic = TestTopic(1), .log_id = NumberedId<LogId>(4), .next_offset = 8}).size(),
            10u);
  EXPECT_THAT(sequences_from({.topic = TestTopic(1), .only_new = true}), ElementsAre());

  RecordLogChanges changes;
  ASSERT_TRUE(
      server.store()
          .Commit([&](storage::Transaction& t) {
            const absl::Status status = server.log().TrimTo(
                t, (*server.log().FindTopic({kTestTenantNumber, TestInstantiation(), TestTopic(1)}))->ref, 6,
                changes);
            server.log().Finish(changes, status);
            return status;
          })
          .ok());
  ReadWitness read;
  const auto subscriber =
      StartSubscriber(server, read, {{.topic = TestTopic(1), .log_id = id, .next_offset = 2}});
  read.AwaitCaughtUp(1);
  EXPECT_EQ(read.first_kept()[TestTopic(1).str()], 6u);
  EXPECT_EQ(read.count(), 4u);
  // Where it stands is where it goes on.
  ASSERT_EQ(subscriber->Positions().size(), 1u);
  EXPECT_EQ(subscriber->Positions()[0].next_offset, 10u);
  EXPECT_EQ(subscriber->Positions()[0].log_id, id);
}

TEST(PathTest, ChangesOfTheRosterEndOpenCalls) {
  HopServer server;
  ReadWitness read;
  const auto subscriber = StartSubscriber(server, read, {{.topic = TestTopic(1)}});
  read.AwaitCaughtUp(1);
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{0, "x"}})).ok());
  read.AwaitRecords(1);
  // On the writer's thread, as a commit does it.
  server.hop().may_subscribe = false;
  ASSERT_TRUE(server.store()
                  .Submit(storage::MakeTask(
                      1, [](storage::Transaction&) { return absl::OkStatus(); },
                      [&](const absl::Status&) {
                        EXPECT_EQ(server.service().EndCalls(
                                      [](const OpenCall& call) {
                                        return call.demand != nullptr && call.principal.role() == Role::kApp;
                                      },
                                      absl::PermissionDeniedError("removed")),
                                  1u);
                      }))
                  .ok());
  read.AwaitDisconnects(3);  // ended once, refused ever after
  for (const absl::Status& why : read.disconnects())
    EXPECT_EQ(why.code(), absl::StatusCode::kPermissionDenied);
  published.AwaitDurable(*publisher->Enqueue(TestGroup(TestHeader(1), {{1, "secret"}})));
  EXPECT_EQ(read.count(), 1u);
  server.hop().may_subscribe = true;
  read.AwaitRecords(2);
  // A certificate that stops counting ends both kinds at their next message.
  server.hop().valid = false;
  ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{2, "x"}})).ok());
  published.AwaitDisconnects(2);
  EXPECT_EQ(server.Records(1).size(), 2u);
  server.hop().valid = true;
  read.AwaitRecords(3);
}

TEST(PathTest, APublisherIsBoundedAndLeavesQuietly) {
  HopServer server;
  server.Stop();
  PublishWitness published;
  PublisherOptions options = QuickPublisher();
  options.max_buffer_bytes = 3000;
  auto publisher = StartPublisher(server, published, options);
  const std::string kilobyte(1000, 'x');
  ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{0, kilobyte}})).ok());
  ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{1, kilobyte}})).ok());
  EXPECT_EQ(publisher->Enqueue(TestGroup(TestHeader(1), {{2, kilobyte}})).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(publisher->Enqueue(std::make_shared<const std::string>()).status().code(),
            absl::StatusCode::kInvalidArgument);
  published.AwaitDisconnects(2);  // nobody there, again and again
  server.Start();
  published.AwaitDurable(2);
  publisher->Stop();
  EXPECT_EQ(publisher->Enqueue(TestGroup(TestHeader(1), {{3, "x"}})).status().code(),
            absl::StatusCode::kFailedPrecondition);
  publisher->Stop();
}

TEST(PathTest, HundredsOfPublishersShareTheThreadsOfTheProcess) {
  HopServer server;
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                         std::filesystem::directory_iterator());
  };
  const auto channel = server.DialAs(Role::kDevice);
  std::vector<std::unique_ptr<PublishWitness>> witnesses;
  std::vector<std::unique_ptr<Publisher>> publishers;
  const auto before = threads();
  for (int i = 0; i < 200; ++i) {
    witnesses.push_back(std::make_unique<PublishWitness>());
    publishers.push_back(
        std::make_unique<Publisher>(channel, witnesses.back()->Callbacks(), QuickPublisher()));
    publishers.back()->Start();
    ASSERT_TRUE(publishers.back()->Enqueue(TestGroup(TestHeader(i), {{0, "x"}})).ok());
  }
  for (auto& witness : witnesses) witness->AwaitDurable(1);
  EXPECT_LT(threads() - before, 20);
}

}  // namespace
}  // namespace keystead::testing
