// Up: what the LAN publishes reaches the next hop, whatever happens in between.
#include <gmock/gmock.h>

#include "tests/unit/gateway/gateway_fixture.h"

namespace keystead::testing {
namespace {

TEST_F(GatewayTest, JoinsByItsLabelAndThenForwards) {
  Start();
  PublishWitness early;
  devices_.push_back(home_.AddDevice("spiffe://acme.keystead.example/device/device-1"));
  GroupHeader header;
  header.tenant = home_.tenant();
  header.instantiation = home_.id();
  header.topic = Telemetry(1);
  header.sender = devices_[0];
  header.stream = NumberedId<StreamId>(1);
  const auto waiting = Publish(Role::kDevice, "device-1", early);
  ASSERT_TRUE(waiting->Enqueue(Group(header, 0, "r0")).ok());
  early.AwaitDisconnects(2);  // "not available now; try again later"
  EXPECT_EQ(early.durable(), 0u);
  EXPECT_TRUE(early.refusals().empty());

  self_ = home_.PairByLabel(options_.label_out, upstream_.Mailboxes());
  upstream_.Place({home_.Commit()});
  early.AwaitDurable(1);
  early.AwaitDurable(Send(*waiting, 1, 1, 99));
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 100);
  ExpectWhole(upstream_.In(home_.id(), Telemetry(1)), 100);
  EXPECT_EQ(upstream_.duplicates, 0u);
  EXPECT_EQ(upstream_.last_caller(), "spiffe://acme.keystead.example/gateway/hall");
  Await([&] { return gateway_->GetStats().up.outbox.entries == 0; }, "an empty queue");
}

TEST_F(GatewayTest, RemembersItsHomeAfterARestart) {
  StartInHome();
  Stop();
  Start();  // also with the label still there
  AwaitBelonging();
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 9));
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 10);
}

TEST_F(GatewayTest, ResetForgetsTheHome) {
  StartInHome();
  Stop();
  options_.reset = true;
  Start();
  EXPECT_FALSE(gateway_->GetStats().lan.belongs);
  options_.reset = false;
  Household next;
  next.PairByLabel(options_.label_out, upstream_.Mailboxes(), 2);  // under the raised counter
  upstream_.Place({next.Commit()});
  AwaitBelonging();
}

TEST_F(GatewayTest, ForwardsWhatCameWhileTheNextHopWasAwayInOrderAndOnce) {
  StartInHome();
  PublishWitness one;
  PublishWitness two;
  const auto first = Publish(Role::kDevice, "device-1", one);
  const auto second = Publish(Role::kDevice, "device-2", two);
  one.AwaitDurable(Send(*first, 1, 0, 49));
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 50);
  Await([&] { return gateway_->GetStats().up.outbox.entries == 0; }, "the acknowledgement of all");
  upstream_.Stop();
  one.AwaitDurable(Send(*first, 1, 50, 299));
  two.AwaitDurable(Send(*second, 2, 0, 299));
  Await([&] { return gateway_->GetStats().up.outbox.entries == 550; }, "550 in the queue");
  upstream_.Start();
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 300);
  upstream_.AwaitRecords(home_.id(), Telemetry(2), 300);
  ExpectWhole(upstream_.In(home_.id(), Telemetry(1)), 300);
  ExpectWhole(upstream_.In(home_.id(), Telemetry(2)), 300);
  Await([&] { return gateway_->GetStats().up.outbox.entries == 0; }, "an empty queue");
}

TEST_F(GatewayTest, GoesOnAfterARestartInTheMiddle) {
  options_.queue_memory_bytes = 4 << 10;  // most of the queue is read from the store
  StartInHome();
  PublishWitness witness;
  auto device = Publish(Role::kDevice, "device-1", witness);
  upstream_.Stop();
  for (uint64_t round = 0; round < 4; ++round) {
    witness.AwaitDurable(Send(*device, 1, round * 500, round * 500 + 499));
    Stop();
    if (round == 1) upstream_.Start();
    Start();
    if (round == 1) upstream_.AwaitRecords(home_.id(), Telemetry(1), 600);
    if (round == 1) upstream_.Stop();
  }
  upstream_.Start();
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 2000);
  ExpectWhole(upstream_.In(home_.id(), Telemetry(1)), 2000);
}

TEST_F(GatewayTest, ANextHopThatPushesBackGetsEverythingLater) {
  StartInHome();
  upstream_.busy = true;
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 99));
  Await([&] { return gateway_->GetStats().up.connections > 2; }, "several tries");
  EXPECT_TRUE(upstream_.In(home_.id(), Telemetry(1)).empty());
  upstream_.busy = false;
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 100);
  ExpectWhole(upstream_.In(home_.id(), Telemetry(1)), 100);
}

TEST_F(GatewayTest, AFullQueuePushesBackAndRecovers) {
  options_.queue_bytes = 64 << 10;
  StartInHome();
  upstream_.Stop();
  PublishWitness witness;
  PublisherOptions options = QuickPublisher();
  options.max_groups_per_request = 4;
  const auto device = Publish(Role::kDevice, "device-1", witness, options);
  const uint64_t last = Send(*device, 1, 0, 999);  // about 130 KiB
  witness.AwaitDisconnects(3);
  EXPECT_LT(witness.durable(), 600u);
  EXPECT_GT(witness.durable(), 200u);
  EXPECT_LE(gateway_->GetStats().up.outbox.bytes, options_.queue_bytes);
  EXPECT_GT(gateway_->GetStats().lan.pushed_back, 0u);
  // The reserve: the phone's switch still works.
  PublishWitness app;
  const auto phone = Publish(Role::kApp, "phone", app);
  GroupHeader command = Header(home_.owner());
  command.topic = Topic::Of(TopicKind::kCommand, devices_[0]);
  ASSERT_TRUE(phone->Enqueue(Group(command, 0, "on")).ok());
  app.AwaitDurable(1);

  upstream_.Start();
  witness.AwaitDurable(last);
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 1000);
  ExpectWhole(upstream_.In(home_.id(), Telemetry(1)), 1000);
}

TEST_F(GatewayTest, OneBadRecordDoesNotHoldUpTheOthers) {
  StartInHome();
  upstream_.Refuse("r5", absl::StatusCode::kPermissionDenied);
  upstream_.Refuse("r7", absl::StatusCode::kInvalidArgument);
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 99));
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 98);
  Await([&] { return upstream_.refusals("r5") >= 2; }, "a second try");
  upstream_.Accept("r5");  // its roster has caught up
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 99);
  Await([&] { return gateway_->GetStats().up.outbox.parked == 1; }, "the malformed one is parked");
  EXPECT_EQ(upstream_.refusals("r7"), 1);
  Await([&] { return gateway_->GetStats().up.outbox.entries == 0; }, "an empty queue");
  // Neither comes back after a restart.
  Stop();
  Start();
  EXPECT_EQ(gateway_->GetStats().up.outbox.entries, 0u);
}

TEST_F(GatewayTest, GivesUpAfterSomeTriesAndSaysSo) {
  StartInHome();
  upstream_.Refuse("r1", absl::StatusCode::kNotFound);
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 2));
  Await([&] { return gateway_->GetStats().up.outbox.parked == 1; }, "parked");
  EXPECT_EQ(upstream_.refusals("r1"), 6);
  EXPECT_EQ(upstream_.In(home_.id(), Telemetry(1)).size(), 2u);
}

TEST_F(GatewayTest, HistoryIsBoundedButTheQueueIsNotTouched) {
  options_.history_bytes = 16 << 10;
  StartInHome();
  upstream_.Stop();
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 1999));  // about 260 KiB
  {
    ReadWitness reader;
    const auto phone = Subscribe(Role::kApp, "phone", reader, {Telemetry(1)});
    reader.AwaitRecords(2000);
  }
  upstream_.Start();
  upstream_.AwaitRecords(home_.id(), Telemetry(1), 2000);
  ExpectWhole(upstream_.In(home_.id(), Telemetry(1)), 2000);
  Await(
      [&] {
        ReadWitness reader;
        const auto phone = Subscribe(Role::kApp, "phone", reader, {Telemetry(1)});
        reader.AwaitCaughtUp(1);
        return reader.count() > 0 && reader.count() < 400;
      },
      "a short history");
}

TEST_F(GatewayTest, StopForwardsWhatItCan) {
  StartInHome();
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  upstream_.busy = true;
  witness.AwaitDurable(Send(*device, 1, 0, 99));
  upstream_.busy = false;
  Stop(absl::Minutes(1));
  ExpectWhole(upstream_.In(home_.id(), Telemetry(1)), 100);
}

}  // namespace
}  // namespace keystead::testing
