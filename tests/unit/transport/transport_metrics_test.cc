#include "core/transport/transport_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"
#include "tests/unit/transport/path_clients.h"

namespace keystead::testing {
namespace {

class TransportMetricsTest : public ::testing::Test {
 protected:
  TransportMetricsTest() {
    SetMetricsWanted(true);
    ServeFailedCalls();
  }
  ~TransportMetricsTest() override { SetMetricsWanted(false); }
  // 0 for one that is not served.
  static double Value(std::string_view series) {
    const std::string line = absl::StrCat("\n", std::string(series), " ");
    const std::string text = RenderMetrics();
    const size_t at = text.find(line);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + line.size()));
  }
  static std::string FailedCalls(std::string_view code, std::string_view limit) {
    return absl::StrCat("keystead_failed_calls_total{code=\"", std::string(code), "\",limit=\"",
                        std::string(limit), "\"}");
  }
};

TEST_F(TransportMetricsTest, CallsThatFailAreCountedByWhatThePeerWasTold) {
  const std::string not_found = FailedCalls("NOT_FOUND", "");
  const std::string internal = FailedCalls("INTERNAL", "");
  const double before = Value(not_found);
  const double internal_before = Value(internal);
  ToPeer(absl::NotFoundError("secret of a peer"));
  ToPeer(absl::NotFoundError("another"));
  ToPeer(absl::OkStatus());
  ToPeer(absl::UnknownError("x"));  // told as INTERNAL
  EXPECT_EQ(Value(not_found), before + 2);
  EXPECT_EQ(Value(internal), internal_before + 1);
  EXPECT_EQ(RenderMetrics().find("secret of a peer"), std::string::npos);
}

TEST_F(TransportMetricsTest, OfALimitItsNameIsServedIfItIsOneOfOurs) {
  const double records = Value(FailedCalls("RESOURCE_EXHAUSTED", "records_per_second"));
  const double queue = Value(FailedCalls("RESOURCE_EXHAUSTED", "queue"));
  const double capacity = Value(FailedCalls("RESOURCE_EXHAUSTED", "capacity"));
  const double other = Value(FailedCalls("RESOURCE_EXHAUSTED", "other"));
  ToPeer(LimitReached("records_per_second", absl::Seconds(1)));
  ToPeer(LimitReached("queue", absl::Seconds(1)));
  ToPeer(absl::ResourceExhaustedError("the disk is full"));
  // What a hop further up says is passed on; its text becomes no label.
  for (int i = 0; i < 100; ++i) {
    std::string name = "invented_";
    name.push_back(static_cast<char>('a' + i % 26));
    ToPeer(LimitReached(name, absl::Seconds(1)));
  }
  EXPECT_EQ(Value(FailedCalls("RESOURCE_EXHAUSTED", "records_per_second")), records + 1);
  EXPECT_EQ(Value(FailedCalls("RESOURCE_EXHAUSTED", "queue")), queue + 1);
  EXPECT_EQ(Value(FailedCalls("RESOURCE_EXHAUSTED", "capacity")), capacity + 1);
  EXPECT_EQ(Value(FailedCalls("RESOURCE_EXHAUSTED", "other")), other + 100);
  EXPECT_EQ(RenderMetrics().find("invented"), std::string::npos);
}

TEST_F(TransportMetricsTest, EveryCodeHasTheNameOfItsSpecification) {
  for (int code = 0; code < kStatusCodes; ++code) {
    const auto as_code = static_cast<absl::StatusCode>(code);
    EXPECT_EQ(CodeName(as_code), absl::StatusCodeToString(as_code)) << code;
  }
  EXPECT_EQ(CodeName(static_cast<absl::StatusCode>(17)), "UNKNOWN");
  EXPECT_EQ(CodeName(static_cast<absl::StatusCode>(-1)), "UNKNOWN");
}

TEST_F(TransportMetricsTest, ARequestIsTimedFromReadingToItsAcknowledgementOnBothSides) {
  HopServer server;
  const double published_before = Value("keystead_publisher_ack_seconds_count");
  ReadWitness read;
  const auto subscriber = StartSubscriber(server, read, {{.topic = TestTopic(1)}});
  read.AwaitCaughtUp(1);
  const double delivered_before = Value("keystead_hop_delivery_seconds_count");
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  for (uint64_t i = 0; i < 20; ++i) {
    published.AwaitDurable(*publisher->Enqueue(TestGroup(TestHeader(1), {{i, "x"}})));
    read.AwaitRecords(i + 1);
  }
  const auto requests = static_cast<double>(server.service().GetStats().requests);
  EXPECT_EQ(requests, 20);
  EXPECT_EQ(Value("keystead_hop_publish_ack_seconds_count"), requests);
  EXPECT_GT(Value("keystead_hop_publish_ack_seconds_sum"), 0);
  EXPECT_EQ(Value("keystead_publisher_ack_seconds_count") - published_before, requests);
  // The last message may still be told to be sent.
  EXPECT_GE(Value("keystead_hop_delivery_seconds_count") - delivered_before, requests - 1);
  EXPECT_EQ(Value("keystead_hop_received_groups_total"), 20);
  EXPECT_EQ(Value("keystead_hop_open_calls{rpc=\"publish\"}"), 1);
  EXPECT_EQ(Value("keystead_hop_open_calls{rpc=\"subscribe\"}"), 1);
}

TEST_F(TransportMetricsTest, RefusedGroupsAreCountedByCode) {
  HopServer server;
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  GroupHeader forbidden = TestHeader(1);
  forbidden.sender = server.hop().refused_sender;
  ASSERT_TRUE(publisher->Enqueue(TestGroup(forbidden, {{5, "b"}})).ok());
  ASSERT_TRUE(publisher->Enqueue(std::make_shared<const std::string>("junk")).ok());
  published.AwaitDurable(*publisher->Enqueue(TestGroup(TestHeader(1), {{0, "a"}})));
  EXPECT_EQ(Value("keystead_hop_refused_groups_total{code=\"PERMISSION_DENIED\"}"), 1);
  EXPECT_EQ(Value("keystead_hop_refused_groups_total{code=\"INVALID_ARGUMENT\"}"), 1);
}

TEST_F(TransportMetricsTest, HandshakesAreCounted) {
  HopServer server;
  PublishWitness published;
  const auto publisher = StartPublisher(server, published);
  published.AwaitDurable(*publisher->Enqueue(TestGroup(TestHeader(1), {{0, "a"}})));
  EXPECT_EQ(Value("keystead_handshakes_total{outcome=\"begun\"}"), 1);
  EXPECT_EQ(Value("keystead_handshakes_total{outcome=\"succeeded\"}"), 1);
  EXPECT_EQ(Value("keystead_handshakes_total{outcome=\"failed\"}"), 0);
  EXPECT_EQ(Value("keystead_handshakes_total{outcome=\"refused\"}"), 0);
}

}  // namespace
}  // namespace keystead::testing
