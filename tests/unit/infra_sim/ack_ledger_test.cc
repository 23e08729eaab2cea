#include "infra-sim/ack_ledger.h"

#include <gtest/gtest.h>

namespace keystead::infra {
namespace {

using Origins = std::vector<AckLedger::Origin>;

v1::PublishResponse Durable(uint64_t requests) {
  v1::PublishResponse response;
  response.set_durable_requests(requests);
  return response;
}

// A request that goes on unchanged.
uint64_t Pass(AckLedger& ledger) {
  const uint64_t number = ledger.Received();
  ledger.Sent({}, number);
  return number;
}

TEST(AckLedgerTest, UnchangedRequestsKeepTheirNumbers) {
  AckLedger ledger;
  for (int i = 0; i < 3; ++i) Pass(ledger);
  EXPECT_EQ(ledger.Acknowledged(Durable(2)).response.durable_requests(), 2u);
  EXPECT_FALSE(ledger.Acknowledged(Durable(2)).news);
  EXPECT_EQ(ledger.Acknowledged(Durable(3)).response.durable_requests(), 3u);
}

TEST(AckLedgerTest, SwallowedRequestIsAcknowledgedInItsTurn) {
  AckLedger ledger;
  Pass(ledger);
  ledger.Release(ledger.Received());  // ACK_AND_DROP of all of request 2
  Pass(ledger);                       // request 3 is the next hop's second
  EXPECT_FALSE(ledger.Advance().news) << "request 1 is not durable yet";
  EXPECT_EQ(ledger.Acknowledged(Durable(1)).response.durable_requests(), 2u);
  EXPECT_EQ(ledger.Acknowledged(Durable(2)).response.durable_requests(), 3u);
}

TEST(AckLedgerTest, WithheldRequestStopsAcknowledgementsForGood) {
  AckLedger ledger;
  Pass(ledger);
  const uint64_t dropped = ledger.Received();
  ledger.Withhold(dropped);
  ledger.Release(dropped);
  Pass(ledger);
  EXPECT_EQ(ledger.Acknowledged(Durable(2)).response.durable_requests(), 1u);
  EXPECT_FALSE(ledger.Advance().news);
}

TEST(AckLedgerTest, SplitRequestWaitsForItsLastPart) {
  AckLedger ledger;
  const uint64_t number = ledger.Received();
  ledger.Retain(number);
  ledger.Retain(number);
  ledger.Release(number);
  ledger.Sent({{.request = number, .group = 0}});
  EXPECT_FALSE(ledger.Acknowledged(Durable(1)).news);
  ledger.Sent({{.request = number, .group = 1}});
  EXPECT_EQ(ledger.Acknowledged(Durable(2)).response.durable_requests(), 1u);
}

TEST(AckLedgerTest, RefusalsAreTranslatedAndThoseOfInjectionsKept) {
  AckLedger ledger;
  const uint64_t number = ledger.Received();
  ledger.Retain(number);
  ledger.Release(number);
  ledger.Sent({{.request = number, .group = 0},
               {.request = 0, .altered = true, .injections = {7}},
               {.request = number, .group = 1}});
  v1::PublishResponse response = Durable(1);
  for (const uint32_t group : {1u, 2u, 9u}) {
    v1::Refusal& refusal = *response.add_refusals();
    refusal.set_request(1);
    refusal.set_group(group);
    refusal.set_code(3);
  }
  const auto answer = ledger.Acknowledged(response);
  ASSERT_EQ(answer.response.refusals_size(), 1) << "the sender hears only of its own";
  EXPECT_EQ(answer.response.refusals(0).request(), number);
  EXPECT_EQ(answer.response.refusals(0).group(), 1u);
  ASSERT_EQ(answer.refused.size(), 1u);
  EXPECT_EQ(answer.refused[0].injections, std::vector<uint64_t>{7});
  EXPECT_EQ(answer.refused[0].code, 3);
}

TEST(AckLedgerTest, LyingNextHopIsBelievedOnlyAsFarAsItWasSent) {
  AckLedger ledger;
  Pass(ledger);
  ledger.Received();  // under way
  EXPECT_EQ(ledger.Acknowledged(Durable(1'000'000)).response.durable_requests(), 1u);
  v1::PublishResponse nonsense;
  nonsense.add_refusals()->set_request(77);
  EXPECT_EQ(ledger.Acknowledged(nonsense).response.refusals_size(), 0);
}

}  // namespace
}  // namespace keystead::infra
