// Publisher, service and Subscriber together, over real connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <thread>

#include "absl/synchronization/notification.h"
#include "core/base/limits.h"
#include "core/observe/security_event.h"
#include "keystead/v1/transport.grpc.pb.h"
#include "tests/unit/transport/hop_server.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<Publisher> StartPublisher(HopServer& server, PublishWitness& witness,
                                          const PublisherOptions& options = QuickPublisher()) {
  auto out = std::make_unique<Publisher>(server.DialAs(Role::kDevice), witness.Callbacks(), options);
  out->Start();
  return out;
}

std::unique_ptr<Subscriber> StartSubscriber(HopServer& server, ReadWitness& witness,
                                            std::vector<SubscriberTopic> topics) {
  auto out = std::make_unique<Subscriber>(server.DialAs(Role::kApp), witness.Callbacks(), QuickSubscriber());
  EXPECT_TRUE(out->Add(std::move(topics)).ok());
  out->Start();
  return out;
}

void ExpectSequences(const std::vector<std::pair<uint64_t, std::string>>& records, uint64_t count) {
  ASSERT_EQ(records.size(), count);
  for (uint64_t i = 0; i < count; ++i) ASSERT_EQ(records[i].first, i);
}

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

TEST(PathTest, TooManyVariantsAreRefusedWithoutAcknowledgement) {
  HopServer server;
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  uint64_t last = 0;
  for (size_t i = 0; i <= limits::kMaxVariantsPerSequence; ++i)
    last = *publisher->Enqueue(TestGroup(TestHeader(1), {{3, std::to_string(i)}}));
  published.AwaitDurable(last);
  ASSERT_EQ(published.refusals().size(), 1u);
  EXPECT_EQ(published.refusals()[0].first, last);
  EXPECT_EQ(published.refusals()[0].second.first_sequence, 3u);
  EXPECT_EQ(server.Records(1).size(), limits::kMaxVariantsPerSequence);
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

TEST(PathTest, ACallThatOwesTooMuchIsNotRead) {
  TransportServiceOptions service_options;
  service_options.max_requests_per_call = 3;
  HopServer server(service_options);
  absl::Notification go;
  ASSERT_TRUE(server.store()
                  .Submit(storage::MakeTask(
                      1,
                      [&](storage::Transaction&) {
                        go.WaitForNotification();
                        return absl::OkStatus();
                      },
                      [](const absl::Status&) {}))
                  .ok());
  PublishWitness published;
  PublisherOptions options = QuickPublisher();
  options.max_groups_per_request = 1;
  options.requests_before_gathering = 100;
  const auto publisher = StartPublisher(server, published, options);
  for (uint64_t i = 0; i < 20; ++i)
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1), {{i, "x"}})).ok());
  while (server.service().GetStats().requests < 3) std::this_thread::yield();
  while (publisher->GetStats().requests < 20) std::this_thread::yield();
  EXPECT_EQ(server.service().GetStats().requests, 3u);
  go.Notify();
  published.AwaitDurable(20);
  ExpectSequences(server.Records(1), 20);
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

// Keeps the writer busy until it goes.
class WriterBlock {
 public:
  explicit WriterBlock(HopServer& server) {
    EXPECT_TRUE(server.store()
                    .Submit(storage::MakeTask(
                        1,
                        [go = go_](storage::Transaction&) {
                          go->WaitForNotification();
                          return absl::OkStatus();
                        },
                        [](const absl::Status&) {}))
                    .ok());
  }
  ~WriterBlock() { go_->Notify(); }

 private:
  std::shared_ptr<absl::Notification> go_ = std::make_shared<absl::Notification>();
};

// What is in one batch shares logs; one request that cannot go on must not fail the others.
TEST(PathTest, AHopThatIsBusyInTheMiddleOfARequestFailsNobodyElse) {
  HopServer server;
  GroupHeader early = TestHeader(9);
  early.sender = server.hop().early_sender;
  PublishWitness witness;
  const auto publisher = StartPublisher(server, witness);
  witness.AwaitDurable(*publisher->Enqueue(TestGroup(TestHeader(1, 1), {{0, "x"}})));
  grpc::ClientContext context;
  const auto stub = v1::Transport::NewStub(server.DialAs(Role::kDevice));
  const auto stream = stub->Publish(&context);
  v1::PublishRequest request;
  request.add_groups(*TestGroup(TestHeader(1), {{0, "x"}}));
  request.add_groups(*TestGroup(early, {{0, "x"}}));
  {
    const WriterBlock block(server);
    uint64_t requests = server.service().GetStats().requests;
    const auto await_request = [&] {
      ++requests;
      while (server.service().GetStats().requests < requests) std::this_thread::yield();
    };
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1, 1), {{1, "x"}})).ok());
    await_request();
    ASSERT_TRUE(stream->Write(request));
    await_request();
    ASSERT_TRUE(publisher->Enqueue(TestGroup(TestHeader(1, 1), {{2, "x"}})).ok());
    await_request();
  }
  witness.AwaitDurable(3);
  EXPECT_EQ(witness.disconnects(), 0);
  v1::PublishResponse response;
  EXPECT_FALSE(stream->Read(&response));  // not acknowledged
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server.Records(1).size(), 4u);  // what came before it is stored, to be a duplicate the next time
}

TEST(PathTest, ARequestOfJunkIsOneEvent) {
  HopServer server;
  absl::Mutex mutex;
  std::vector<SecurityEvent> events;
  SetSecurityEventObserver([&](const SecurityEvent& event) {
    absl::MutexLock lock(&mutex);
    events.push_back(event);
  });
  const auto stub = v1::Transport::NewStub(server.DialAs(Role::kDevice));
  grpc::ClientContext context;
  auto stream = stub->Publish(&context);
  v1::PublishRequest request;
  for (size_t i = 0; i < limits::kMaxGroupsPerRequest; ++i) request.add_groups("");
  ASSERT_TRUE(stream->Write(request));
  stream->WritesDone();
  v1::PublishResponse response;
  size_t refused = 0;
  while (stream->Read(&response)) refused += static_cast<size_t>(response.refusals_size());
  EXPECT_TRUE(stream->Finish().ok());
  SetSecurityEventObserver(nullptr);
  EXPECT_EQ(refused, limits::kMaxGroupsPerRequest);
  absl::MutexLock lock(&mutex);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, SecurityEventKind::kMalformed);
  EXPECT_EQ(events[0].count, limits::kMaxGroupsPerRequest);
}

TEST(PathTest, ARequestWithFieldsNobodyKnowsEndsTheCall) {
  HopServer server;
  const auto stub = v1::Transport::NewStub(server.DialAs(Role::kDevice));
  grpc::ClientContext context;
  auto stream = stub->Publish(&context);
  v1::PublishRequest request;
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(77, 1);
  ASSERT_TRUE(stream->Write(request));
  v1::PublishResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// A publisher that reads nothing is not read for ever; and when its call must end, it ends.
TEST(PathTest, WhoDoesNotReadItsRefusalsIsNotReadEither) {
  TransportServiceOptions service_options;
  service_options.max_requests_per_call = 2;
  service_options.max_refusals_per_call = 2048;
  service_options.end_grace = absl::Milliseconds(50);
  HopServer server(service_options);
  const auto stub = v1::Transport::NewStub(server.DialAs(Role::kDevice));
  constexpr uint64_t kRequests = 60;
  constexpr uint64_t kGroups = limits::kMaxGroupsPerRequest;
  v1::PublishRequest request;
  for (uint64_t i = 0; i < kGroups; ++i) request.add_groups("");
  for (const bool reads_in_the_end : {true, false}) {
    const uint64_t before = server.service().GetStats().requests;
    grpc::ClientContext context;
    auto stream = stub->Publish(&context);
    for (uint64_t i = 0; i < kRequests; ++i) ASSERT_TRUE(stream->Write(request));
    while (server.service().GetStats().requests < before + 3) std::this_thread::yield();
    for (int i = 0; i < 50; ++i)
      ASSERT_TRUE(server.store().Commit([](storage::Transaction&) { return absl::OkStatus(); }).ok());
    // What flow control lets pass before the first refusal is stuck, and far from all.
    EXPECT_LE(server.service().GetStats().requests, before + kRequests / 2);
    if (reads_in_the_end) {
      stream->WritesDone();
      v1::PublishResponse response;
      uint64_t refused = 0;
      uint64_t durable = 0;
      while (stream->Read(&response)) {
        for (const v1::Refusal& refusal : response.refusals()) EXPECT_GT(refusal.request(), durable);
        durable = response.durable_requests();
        refused += static_cast<uint64_t>(response.refusals_size());
      }
      EXPECT_TRUE(stream->Finish().ok());
      EXPECT_EQ(durable, kRequests);
      EXPECT_EQ(refused, kRequests * kGroups);
      while (server.service().GetStats().publish_calls > 0) std::this_thread::yield();
    } else {
      EXPECT_EQ(server.service().EndCalls([](const OpenCall&) { return true; },
                                          absl::PermissionDeniedError("removed")),
                1u);
      const absl::Time patience = absl::Now() + absl::Seconds(20);
      while (server.service().GetStats().publish_calls > 0 && absl::Now() < patience)
        std::this_thread::yield();
      EXPECT_EQ(server.service().GetStats().publish_calls, 0u);
      context.TryCancel();
      stream->Finish();
    }
  }
}

// Also on a call where nothing happens.
TEST(PathTest, CallsEndWhenTheCertificateStopsCounting) {
  TransportServiceOptions service_options;
  service_options.recheck_interval = absl::Milliseconds(20);
  HopServer server(service_options);
  ReadWitness read;
  const auto subscriber = StartSubscriber(server, read, {{.topic = TestTopic(1)}});
  read.AwaitCaughtUp(1);
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  published.AwaitDurable(*publisher->Enqueue(TestGroup(TestHeader(2), {{0, "x"}})));
  server.hop().valid = false;
  read.AwaitDisconnects(1);
  published.AwaitDisconnects(1);
  EXPECT_EQ(read.disconnects()[0].code(), absl::StatusCode::kUnauthenticated);
  server.hop().valid = true;
}

// Clients that come, do a little and go, at every stage. What counts is that the server still shuts down.
TEST(PathTest, CallsCancelledAtAnyPointLeaveNothingBehind) {
  HopServer server;
  const auto channel = server.DialAs(Role::kDevice);
  const auto stub = v1::Transport::NewStub(channel);
  std::mt19937 random(1);
  const std::string group = *TestGroup(TestHeader(1), {{0, std::string(5000, 'x')}});
  for (int i = 0; i < 300; ++i) {
    grpc::ClientContext context;
    const uint32_t point = static_cast<uint32_t>(random() % 6);
    if (i % 2 == 0) {
      auto stream = stub->Publish(&context);
      if (point == 0) context.TryCancel();
      v1::PublishRequest request;
      for (uint32_t g = 0; g < point; ++g) request.add_groups(group);
      for (uint32_t w = 0; w < point; ++w) stream->Write(request);
      v1::PublishResponse response;
      if (point == 3) stream->Read(&response);
      if (point == 4) stream->WritesDone();
      if (point == 5) {
        stream->WritesDone();
        while (stream->Read(&response)) {
        }
        EXPECT_EQ(response.durable_requests(), 5u);
        EXPECT_TRUE(stream->Finish().ok());
        continue;
      }
      context.TryCancel();
      stream->Finish();
    } else {
      v1::SubscribeRequest request;
      request.set_tenant(TestTenant().str());
      request.set_instantiation(TestInstantiation().ToString());
      for (uint32_t t = 0; t <= point * 20; ++t)
        request.add_topics()->set_topic(TestTopic(static_cast<int>(t)).str());
      auto stream = stub->Subscribe(&context, request);
      if (point == 0) context.TryCancel();
      v1::SubscribeResponse response;
      if (point > 2) stream->Read(&response);
      context.TryCancel();
      stream->Finish();
    }
  }
  const absl::Time start = absl::Now();
  server.Stop();  // and it expects that no call is left
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

TEST(PathTest, BadSubscribeRequestsAreRefused) {
  HopServer server;
  const auto stub = v1::Transport::NewStub(server.DialAs(Role::kApp));
  const auto status_of = [&](const std::function<void(v1::SubscribeRequest&)>& spoil) {
    v1::SubscribeRequest request;
    request.set_tenant(TestTenant().str());
    request.set_instantiation(TestInstantiation().ToString());
    request.add_topics()->set_topic(TestTopic(1).str());
    spoil(request);
    grpc::ClientContext context;
    auto stream = stub->Subscribe(&context, request);
    v1::SubscribeResponse response;
    while (stream->Read(&response)) {
      if (response.topics(0).caught_up()) context.TryCancel();
    }
    return stream->Finish().error_code();
  };
  using Request = v1::SubscribeRequest;
  EXPECT_EQ(status_of([](Request&) {}), grpc::StatusCode::CANCELLED);  // the good one: by us
  EXPECT_EQ(status_of([](Request& r) { r.clear_topics(); }), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](Request& r) { r.add_topics()->set_topic(r.topics(0).topic()); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](Request& r) { r.mutable_topics(0)->set_topic("telemetry/x"); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](Request& r) { r.mutable_topics(0)->set_log_id("short"); }),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](Request& r) { r.set_instantiation("short"); }), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](Request& r) { r.set_tenant("globex.keystead.example"); }),
            grpc::StatusCode::PERMISSION_DENIED);
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
