// The power fails at random points while the gateway stores, forwards and brings down: what a publisher was
// told is durable reaches the next hop, once, and local readers see it.
#include <gmock/gmock.h>

#include "core/storage/fault_injection_fs.h"
#include "tests/unit/gateway/gateway_fixture.h"

namespace keystead::testing {
namespace {

class GatewayCrashTest : public GatewayTest {
 protected:
  GatewayCrashTest() {
    options_.file_system = fs_;
    options_.queue_memory_bytes = 8 << 10;
  }

  uint64_t Draw(uint64_t below) {
    std::array<uint8_t, 4> bytes{};
    random_.Fill(bytes);
    return (uint64_t{bytes[0]} << 16 | uint64_t{bytes[1]} << 8 | bytes[2]) % below;
  }

  void Crash() {
    gateway_.reset();  // nothing it still wants to write survives
    fs_->DropUnsynced(random_);
  }

  const std::shared_ptr<storage::FaultInjectionFs> fs_ = std::make_shared<storage::FaultInjectionFs>();
  SeededRandom random_{17};
};

TEST_F(GatewayCrashTest, NothingAcknowledgedIsLostAndNothingComesTwice) {
  StartInHome();
  PublishWitness one;
  PublishWitness two;
  PublisherOptions options = QuickPublisher();
  options.max_buffer_bytes = 64 << 20;
  options.max_groups_per_request = 16;
  const auto first = Publish(Role::kDevice, "device-1", one, options);
  const auto second = Publish(Role::kDevice, "device-2", two, options);
  const Topic commands = Topic::Of(TopicKind::kCommand, devices_[0]);
  GroupHeader command = Header(home_.owner());
  command.topic = commands;
  uint64_t sent = 0;
  uint64_t crashes = 0;
  std::vector<uint64_t> acked;
  constexpr uint64_t kRounds = 40;
  for (uint64_t round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    // Where the next hop takes nothing, only the gateway's disk has what it acknowledged.
    upstream_.busy = round % 4 != 3;
    fs_->PowerOffAfter(1 + Draw(20));
    Send(*first, 1, sent, sent + 49);
    Send(*second, 2, sent, sent + 49);
    sent += 50;
    if (!upstream_.busy) upstream_.Place({Group(command, round, "on")});
    if (gateway_ != nullptr) {
      Await([&] { return fs_->powered_off() || (one.durable() == sent && two.durable() == sent); },
            "a crash");
      if (fs_->powered_off()) ++crashes;
    }
    Crash();
    if (round % 3 == 0) fs_->PowerOffAfter(1 + Draw(40));  // it may fail again at once
    while (!TryStart().ok()) fs_->DropUnsynced(random_);   // the power failed while it opened
  }
  EXPECT_GT(crashes, kRounds / 4);
  fs_->PowerOffAfter(UINT64_MAX);
  upstream_.busy = false;
  one.AwaitDurable(sent);
  two.AwaitDurable(sent);
  upstream_.AwaitRecords(home_.id(), Telemetry(1), sent);
  upstream_.AwaitRecords(home_.id(), Telemetry(2), sent);
  ASSERT_EQ(one.refusals().size() + two.refusals().size(), 0u);
  ReadWitness reader;
  const auto phone = Subscribe(Role::kApp, "phone", reader, {Telemetry(1), Telemetry(2), commands});
  reader.AwaitRecords(2 * sent + kRounds / 4);
  // A power failure changes in which order they came, not which came.
  for (const Topic& topic : {Telemetry(1), Telemetry(2)}) {
    TestUpstream::Records there = upstream_.In(home_.id(), topic);
    std::sort(there.begin(), there.end());
    ExpectWhole(there, sent);
    TestUpstream::Records here = reader.records()[topic.str()];
    std::sort(here.begin(), here.end());
    ExpectWhole(here, sent);
  }
  EXPECT_EQ(reader.records()[commands.str()].size(), kRounds / 4);
  EXPECT_EQ(upstream_.In(home_.id(), commands).size(), kRounds / 4);  // none went up again as another record
}

TEST_F(GatewayCrashTest, AFullDiskPushesBackAndRecovers) {
  StartInHome();
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 9));
  fs_->SetFreeBytes(200);
  const uint64_t last = Send(*device, 1, 10, 199);
  witness.AwaitDisconnects(2);
  EXPECT_LT(witness.durable(), last);
  fs_->SetFreeBytes(std::nullopt);
  witness.AwaitDurable(last);
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 200);
  ExpectWhole(upstream_.In(home_.id(), Telemetry(1)), 200);
  Await([&] { return gateway_->GetStats().up.outbox.entries == 0; }, "an empty queue");
  EXPECT_EQ(gateway_->GetStats().up.outbox.bytes, 0u);
}

}  // namespace
}  // namespace keystead::testing
