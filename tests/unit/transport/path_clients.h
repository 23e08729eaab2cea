// Publishers and subscribers of a test's HopServer.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/transport/hop_server.h"

namespace keystead::testing {

inline std::unique_ptr<Publisher> StartPublisher(HopServer& server, PublishWitness& witness,
                                                 const PublisherOptions& options = QuickPublisher()) {
  auto out = std::make_unique<Publisher>(server.DialAs(Role::kDevice), witness.Callbacks(), options);
  out->Start();
  return out;
}

inline std::unique_ptr<Subscriber> StartSubscriber(HopServer& server, ReadWitness& witness,
                                                   std::vector<SubscriberTopic> topics) {
  auto out = std::make_unique<Subscriber>(server.DialAs(Role::kApp), witness.Callbacks(), QuickSubscriber());
  EXPECT_TRUE(out->Add(std::move(topics)).ok());
  out->Start();
  return out;
}

inline void ExpectSequences(const std::vector<std::pair<uint64_t, std::string>>& records, uint64_t count) {
  ASSERT_EQ(records.size(), count);
  for (uint64_t i = 0; i < count; ++i) ASSERT_EQ(records[i].first, i);
}

}  // namespace keystead::testing
