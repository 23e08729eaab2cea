// What the console tells equipment to attack.
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "mobile-stub/console/console.h"
#include "tests/unit/mobile_stub/console/equipment.h"
#include "tests/unit/mobile_stub/console/peer.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::console {
namespace {

using mobile::testing::Must;

TEST(AttackRoutesTest, WhatIsArmedMeetsThisHomeAlone) {
  testing::Equipment box;
  mobile::testing::Home home;
  const auto device = home.NewDevice("thermo");
  home.Pair({device.get()});
  const auto engine = home.App();
  ConsoleOptions options;
  options.infra = {box.Remote("box")};
  SecretBytes token;
  SessionToken session = SessionToken::Make(RandomSource::System(), token);
  const auto console = Must(Console::Start(*engine, std::move(options), std::move(session)));
  testing::Browser browser(console->port(), ToString(token.ExposeSecret()));

  nlohmann::json attack = {
      {"equipment", "box"}, {"kind", "drop"}, {"listener", "front"}, {"topic_prefix", "telemetry/"}};
  ASSERT_EQ(browser.PostJson("/api/v1/attacks", attack).status, 201);
  attack["topic_prefix"] = "tls";  // whose those are nobody can say
  ASSERT_EQ(browser.PostJson("/api/v1/attacks", attack).status, 201);
  const std::vector<v1::ArmRequest> armed = box.armed();
  ASSERT_EQ(armed.size(), 2u);
  EXPECT_EQ(armed[0].instantiation(), Must(engine->state().LoadMember()).chain().id().ToString());
  EXPECT_EQ(armed[1].instantiation(), "");
  EXPECT_TRUE(console->Stop(testing::kPatience).ok());
}

}  // namespace
}  // namespace keystead::console
