// A real gateway between a test's next hop and devices and apps with certificates of their own.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/observe/security_event.h"
#include "core/transport/publisher.h"
#include "core/transport/subscriber.h"
#include "gateway/gateway.h"
#include "tests/unit/gateway/household.h"
#include "tests/unit/gateway/test_upstream.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/transport/hop_server.h"

namespace keystead::testing {

class GatewayTest : public ::testing::Test {
 protected:
  GatewayTest();
  ~GatewayTest() override;

  absl::Status TryStart();
  void Start();  // fails the test when it does not start
  void Stop(absl::Duration flush = absl::ZeroDuration());
  // Start, pair by label, and commit gateway and the devices "device-1" and "device-2".
  void StartInHome();
  void JoinHome();  // the same of one that runs
  void AwaitBelonging(bool belongs = true);
  size_t Events(SecurityEventKind kind);  // reported since the fixture was made
  // Polls, because there is nothing to wait on.
  void Await(const std::function<bool()>& condition, const char* what);

  std::shared_ptr<grpc::Channel> Dial(Role role, const std::string& id,
                                      std::string_view tenant = kAcme) const;
  std::unique_ptr<Publisher> Publish(Role role, const std::string& id, PublishWitness& witness,
                                     PublisherOptions options = QuickPublisher()) const;
  std::unique_ptr<Subscriber> Subscribe(Role role, const std::string& id, ReadWitness& witness,
                                        const std::vector<Topic>& topics) const;

  GroupHeader Header(const MemberId& sender, TopicKind kind = TopicKind::kTelemetry, int stream = 1) const;
  Payload Group(const GroupHeader& header, uint64_t sequence, const std::string& content) const;
  Topic Telemetry(int device) const { return Topic::Of(TopicKind::kTelemetry, devices_[device - 1]); }
  // Enqueues records first..last of a device's stream with content "r<sequence>"; the last ticket.
  uint64_t Send(Publisher& publisher, int device, uint64_t first, uint64_t last) const;
  // Every sequence 0..count-1 once, in order.
  static void ExpectWhole(const TestUpstream::Records& records, uint64_t count);

  TestUpstream upstream_;
  Household home_;
  std::vector<MemberId> devices_;
  MemberId self_;
  ManualClock clock_{absl::Now()};
  gateway::GatewayOptions options_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::string folder_;
  int port_ = 0;

 private:
  absl::Mutex events_mutex_;
  std::map<SecurityEventKind, size_t> events_ ABSL_GUARDED_BY(events_mutex_);
};

}  // namespace keystead::testing
