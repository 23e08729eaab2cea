// A fleet with its home, for tests of its life and of its starting up.
#pragma once

#include <gtest/gtest.h>

#include "device-sim/fleet.h"
#include "keystead/v1/readings.pb.h"
#include "tests/unit/device_sim/home.h"

namespace keystead::device_sim {

using namespace keystead::testing;  // NOLINT: the owner's side of the tests

inline std::unique_ptr<Fleet> StartFleet(const Options& options) {
  std::unique_ptr<Fleet> fleet = Must(Fleet::Create(options));
  const absl::Status started = fleet->Start();
  EXPECT_TRUE(started.ok()) << started;
  return fleet;
}

inline v1::ReadingBatch Batch(const std::string& body) {
  v1::ReadingBatch batch;
  EXPECT_TRUE(batch.ParseFromString(body));
  return batch;
}

inline double ValueOf(const v1::ReadingBatch& batch, std::string_view name) {
  for (const v1::Reading& reading : batch.readings()) {
    if (batch.channels(static_cast<int>(reading.channel())).name() == name) return reading.value();
  }
  ADD_FAILURE() << "no channel " << name;
  return -1;
}

class FleetTest : public ::testing::Test {
 protected:
  // A bulb that has joined and is heard.
  MemberId StartBulb() {
    options_ = home_.OptionsFor("bulb-1", "lightbulb");
    fleet_ = StartFleet(options_);
    const membership::Label label = fleet_->devices()[0]->label();
    const MemberId bulb = home_.Pair(label);
    word_ = home_.AwaitWord(bulb);
    return bulb;
  }
  void RestartBulb(const MemberId& bulb) {
    const BootId before = word_.boot;
    fleet_->Stop(absl::Seconds(10));
    fleet_.reset();
    fleet_ = StartFleet(options_);
    word_ = home_.AwaitWord(bulb, before);
  }
  Command CommandFor(const MemberId& target, uint64_t counter, const std::string& name) {
    Command command;
    command.target = target;
    command.signer = home_.owner().self();
    command.counter = counter;
    command.boot = word_.boot;
    command.until_uptime = word_.uptime + absl::Minutes(1);
    command.operation.name = name;
    return command;
  }
  bool BulbIsOn(const MemberId& bulb) {
    return ValueOf(Batch(home_.Read(bulb)->BodiesOf(kinds::kReport).back()), "on") == 1;
  }

  Home home_;
  Options options_;
  std::unique_ptr<Fleet> fleet_;
  Freshness word_;
};

}  // namespace keystead::device_sim
