// What peers can do to a hop that publish too much, read nothing, send junk or leave: over real connections.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "absl/synchronization/notification.h"
#include "core/base/limits.h"
#include "core/observe/security_event.h"
#include "keystead/v1/transport.grpc.pb.h"
#include "tests/unit/transport/path_clients.h"

namespace keystead::testing {
namespace {

TEST(PathAbuseTest, TooManyVariantsAreRefusedWithoutAcknowledgementAndRingOnce) {
  absl::Mutex mutex;
  std::vector<SecurityEvent> events;
  const SecurityEventTap tap([&](const SecurityEvent& event) {
    absl::MutexLock lock(&mutex);
    events.push_back(event);
  });
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
  absl::MutexLock lock(&mutex);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, SecurityEventKind::kConflict);
  EXPECT_EQ(events[0].stream, TestHeader(1).stream.ToHex());
  EXPECT_EQ(events[0].sequence, 3u);
  EXPECT_NE(events[0].peer, "");
}

TEST(PathAbuseTest, ACallThatOwesTooMuchIsNotRead) {
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
TEST(PathAbuseTest, AHopThatIsBusyInTheMiddleOfARequestFailsNobodyElse) {
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

TEST(PathAbuseTest, ARequestOfJunkIsOneEvent) {
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

TEST(PathAbuseTest, ARequestWithFieldsNobodyKnowsEndsTheCall) {
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
TEST(PathAbuseTest, WhoDoesNotReadItsRefusalsIsNotReadEither) {
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

// What a request that was stored leaves behind until its acknowledgement is taken is little, but not nothing.
TEST(PathAbuseTest, WhoDoesNotReadItsAcknowledgementsIsNotReadEither) {
  TransportServiceOptions service_options;
  service_options.max_requests_per_call = 8;
  service_options.max_refusals_per_call = size_t{1} << 30;
  HopServer server(service_options);
  const auto stub = v1::Transport::NewStub(server.DialAs(Role::kDevice));
  grpc::ClientContext context;
  auto stream = stub->Publish(&context);
  // Refusals fill what flow control lets pass: from then on no acknowledgement gets through.
  constexpr uint64_t kStuffing = 40;
  v1::PublishRequest junk;
  for (size_t i = 0; i < limits::kMaxGroupsPerRequest; ++i) junk.add_groups("");
  for (uint64_t i = 0; i < kStuffing; ++i) ASSERT_TRUE(stream->Write(junk));
  constexpr uint64_t kUnread = 4096;
  constexpr uint64_t kMore = 200;  // small enough to lie in buffers when the server stops reading
  v1::PublishRequest request;
  request.add_groups(*TestGroup(TestHeader(1), {{0, "x"}}));
  const uint64_t all = kStuffing + kUnread + kMore;
  for (uint64_t i = kStuffing; i < all; ++i) ASSERT_TRUE(stream->Write(request));
  const auto taken = [&] { return server.service().GetStats().requests; };
  while (taken() < kUnread) std::this_thread::yield();
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(server.store().Commit([](storage::Transaction&) { return absl::OkStatus(); }).ok());
  EXPECT_LE(taken(), kStuffing + kUnread + service_options.max_requests_per_call);
  // Who reads them after all is read on.
  stream->WritesDone();
  v1::PublishResponse response;
  uint64_t durable = 0;
  while (stream->Read(&response)) durable = response.durable_requests();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(durable, all);
}

// Also on a call where nothing happens.
TEST(PathAbuseTest, CallsEndWhenTheCertificateStopsCounting) {
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
TEST(PathAbuseTest, CallsCancelledAtAnyPointLeaveNothingBehind) {
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

TEST(PathAbuseTest, BadSubscribeRequestsAreRefused) {
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

}  // namespace
}  // namespace keystead::testing
