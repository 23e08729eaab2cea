#include "core/transport/limit_status.h"

#include <gtest/gtest.h>

#include "core/transport/backoff.h"
#include "core/transport/status_mapping.h"
#include "google/rpc/limit_details.pb.h"

namespace keystead {
namespace {

TEST(LimitStatusTest, NameAndDelayTravel) {
  const absl::Status limit = LimitReached("records_per_second", absl::Milliseconds(1250));
  EXPECT_TRUE(absl::IsResourceExhausted(limit));
  const grpc::Status sent = ToPeer(limit);
  EXPECT_EQ(sent.error_message(), "a limit was reached; try again later");
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(sent.error_details()));
  EXPECT_EQ(details.code(), 8);
  EXPECT_EQ(details.details_size(), 2);
  const absl::Status received = FromGrpc(sent);
  EXPECT_EQ(RetryDelayOf(received), absl::Milliseconds(1250));
  EXPECT_EQ(LimitNameOf(received), "records_per_second");
}

TEST(LimitStatusTest, OtherFailuresHaveNoDetails) {
  for (const absl::Status& status : {absl::UnavailableError("full"), absl::NotFoundError("x")}) {
    EXPECT_EQ(ToPeer(status).error_details(), "");
    EXPECT_EQ(RetryDelayOf(FromGrpc(ToPeer(status))), std::nullopt);
    EXPECT_EQ(LimitNameOf(FromGrpc(ToPeer(status))), "");
  }
}

// The disk is full, or the store's queue: every peer is told the same.
TEST(LimitStatusTest, WhatHasNoNameIsTheHopsOwnTrouble) {
  const absl::Status told = FromGrpc(ToPeer(absl::ResourceExhaustedError("/var/lib/x: no space left")));
  EXPECT_EQ(told.message(), "a limit was reached; try again later");
  EXPECT_EQ(LimitNameOf(told), "capacity");
  EXPECT_EQ(RetryDelayOf(told), absl::Seconds(5));
}

TEST(LimitStatusTest, ARateSaysWhenTheNextTokenComes) {
  ManualClock clock;
  RateLimiter rate({.per_second = 0.5, .burst = 1}, &clock);
  EXPECT_TRUE(TakeRate(rate, "a", "calls").ok());
  const absl::Status refused = TakeRate(rate, "a", "calls");
  EXPECT_EQ(LimitNameOf(refused), "calls");
  EXPECT_EQ(RetryDelayOf(refused), absl::Seconds(2));
  RateLimiter never({.per_second = 0, .burst = 0}, &clock);
  EXPECT_EQ(RetryDelayOf(TakeRate(never, "a", "calls")), kMaxRetryDelay);
}

grpc::Status WithDetails(const google::rpc::Status& details) {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, "", details.SerializeAsString()};
}

TEST(LimitStatusTest, AHostileHopGainsNothing) {
  EXPECT_EQ(RetryDelayOf(FromGrpc({grpc::StatusCode::RESOURCE_EXHAUSTED, "", "junk"})), std::nullopt);
  EXPECT_EQ(RetryDelayOf(FromGrpc({grpc::StatusCode::RESOURCE_EXHAUSTED, "", std::string(1 << 20, '\n')})),
            std::nullopt);
  google::rpc::RetryInfo retry;
  google::rpc::ErrorInfo info;
  info.set_reason("LIMIT");
  info.set_domain("keystead");
  (*info.mutable_metadata())["limit"] = "\x1b[31mred\n";
  google::rpc::Status details;
  for (const int64_t seconds : {INT64_MAX, INT64_MIN, int64_t{-5}}) {
    retry.mutable_retry_delay()->set_seconds(seconds);
    details.clear_details();
    details.add_details()->PackFrom(retry);
    details.add_details()->PackFrom(info);
    const absl::Status received = FromGrpc(WithDetails(details));
    EXPECT_EQ(RetryDelayOf(received), seconds > 0 ? kMaxRetryDelay : absl::ZeroDuration());
    EXPECT_EQ(LimitNameOf(received), "");
  }
}

TEST(LimitStatusTest, BackoffWaitsForItAndSpreads) {
  SeededRandom random(1);
  Backoff backoff({.initial = absl::Milliseconds(10), .max = absl::Milliseconds(10), .factor = 2}, &random);
  const absl::Status limit = LimitReached("bytes_per_second", absl::Seconds(2));
  absl::Duration least = absl::InfiniteDuration(), most;
  for (int i = 0; i < 200; ++i) {
    const absl::Duration wait = backoff.NextAfter(limit);
    least = std::min(least, wait);
    most = std::max(most, wait);
  }
  EXPECT_GE(least, absl::Seconds(2));
  EXPECT_LT(most, absl::Seconds(4));
  EXPECT_GT(most - least, absl::Seconds(1.5));
  EXPECT_LT(backoff.NextAfter(absl::UnavailableError("")), absl::Milliseconds(10));
}

}  // namespace
}  // namespace keystead
