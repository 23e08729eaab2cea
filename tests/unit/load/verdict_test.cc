#include "tests/load/verdict.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace keystead::load {
namespace {

constexpr int64_t kMs = 1'000'000;

// What two tenants are given in one phase: a record each millisecond, of which some come through.
struct Script {
  Phase phase;
  int64_t latency_ms = 1;
  double served[2] = {1, 1};
};

Recorder Play(const std::vector<Script>& scripts) {
  const Timeline timeline = Timeline::Of(0, {1, 2, 2, 3});
  Recorder out(timeline, 2);
  for (const Script& script : scripts) {
    for (size_t tenant = 0; tenant < 2; ++tenant) {
      int64_t number = 0;
      for (int64_t at = timeline.BeginOf(script.phase);
           at < timeline.EndOf(script.phase) - script.latency_ms * kMs; at += kMs) {
        out.Offered(tenant, at, at);
        out.Sent(tenant, 1);
        const bool served = static_cast<double>(number++ % 100) < 100 * script.served[tenant];
        if (served) out.Acknowledged(tenant, at, at + script.latency_ms * kMs);
        if (!served) out.Lost(tenant, at, timeline.end());
      }
    }
  }
  return out;
}

nlohmann::json Judged(const std::vector<Script>& scripts, const PhaseUse& use = {}) {
  return EpisodeToJson(Play(scripts), {"a", "b"}, use);
}

bool Met(const nlohmann::json& episode, const std::string& name) {
  for (const nlohmann::json& aim : episode["aims"]) {
    if (aim["name"] == name) return aim["met"].get<bool>();
  }
  ADD_FAILURE() << "no aim " << name;
  return false;
}

TEST(VerdictTest, WhereNothingChangesAllAimsAreMet) {
  const auto out = Judged({{Phase::kAlone}, {Phase::kNeighbour}, {Phase::kRecovery}});
  EXPECT_EQ(out["ratios"]["p99"], 1.0);
  EXPECT_EQ(out["ratios"]["goodput"], 1.0);
  EXPECT_EQ(out["jain"], 1.0);
  EXPECT_EQ(out["recovery_seconds"], 0.0);
  for (const std::string name : {"p99", "goodput", "jain", "recovery"}) EXPECT_TRUE(Met(out, name)) << name;
}

TEST(VerdictTest, ASlowerTailIsSeenAsThatAndNothingElse) {
  const auto out = Judged({{Phase::kAlone, 10}, {Phase::kNeighbour, 16}, {Phase::kRecovery, 10}});
  EXPECT_NEAR(out["ratios"]["p99"].get<double>(), 1.6, 0.01);
  EXPECT_FALSE(Met(out, "p99"));
  EXPECT_TRUE(Met(out, "goodput"));
  EXPECT_TRUE(Met(out, "jain"));
  EXPECT_TRUE(Met(out, "recovery"));
}

TEST(VerdictTest, WhatIsNotServedIsMissingFromGoodput) {
  const auto out = Judged({{Phase::kAlone}, {Phase::kNeighbour, 1, {0.9, 0.9}}, {Phase::kRecovery}});
  EXPECT_NEAR(out["ratios"]["goodput"].get<double>(), 0.9, 0.005);
  EXPECT_FALSE(Met(out, "goodput"));
  EXPECT_TRUE(Met(out, "jain"));
}

TEST(VerdictTest, ErrorsAreCountedByCodeAndHeldAgainstThoseAlone) {
  constexpr int kExhausted = 8;
  constexpr int kUnavailable = 14;
  Recorder recorder = Play({{Phase::kAlone}, {Phase::kNeighbour}, {Phase::kRecovery}});
  const int64_t alone = recorder.timeline().BeginOf(Phase::kAlone) + kMs;
  const int64_t with = recorder.timeline().BeginOf(Phase::kNeighbour) + kMs;
  recorder.Ended(0, alone, kExhausted);
  for (int i = 0; i < 2; ++i) recorder.Refused(1, with, with, kExhausted);
  recorder.Ended(1, with, kExhausted);
  recorder.Ended(1, with, kUnavailable);
  const auto errors = EpisodeToJson(recorder, {"a", "b"}, {})["errors"];
  EXPECT_EQ(errors.size(), 2);
  EXPECT_NEAR(errors["RESOURCE_EXHAUSTED"]["alone_per_1000"].get<double>(), 0.25, 0.01);
  EXPECT_NEAR(errors["RESOURCE_EXHAUSTED"]["ratio"].get<double>(), 3, 0.01);
  EXPECT_NEAR(errors["UNAVAILABLE"]["with_per_1000"].get<double>(), 0.25, 0.01);
  EXPECT_TRUE(errors["UNAVAILABLE"]["ratio"].is_null());
}

TEST(VerdictTest, UnequalSharesOfEqualTenantsAreUnfair) {
  const auto out = Judged({{Phase::kAlone}, {Phase::kNeighbour, 1, {1, 0.5}}, {Phase::kRecovery}});
  EXPECT_NEAR(out["jain"].get<double>(), 0.9, 0.005);  // 1.5² / (2 · 1.25)
  EXPECT_FALSE(Met(out, "jain"));
}

TEST(VerdictTest, ARecoveryThatDoesNotComeIsNoneAndNotMet) {
  const auto out = Judged({{Phase::kAlone, 10}, {Phase::kNeighbour, 10}, {Phase::kRecovery, 30}});
  EXPECT_TRUE(out["recovery_seconds"].is_null());
  EXPECT_FALSE(Met(out, "recovery"));
  EXPECT_TRUE(Met(out, "p99"));
}

TEST(VerdictTest, WithoutABaseThereIsNoRatioAndNothingIsMet) {
  const auto out = Judged({{Phase::kNeighbour}});
  EXPECT_TRUE(out["ratios"]["p99"].is_null());
  EXPECT_FALSE(Met(out, "p99"));
}

TEST(VerdictTest, AGeneratorWithoutRestMakesARunInvalid) {
  PhaseUse use{};
  use[static_cast<size_t>(Phase::kNeighbour)].generator = 0.86;
  const auto out = Judged({{Phase::kAlone}}, use);
  ASSERT_EQ(out["invalid"].size(), 1u);
  EXPECT_EQ(out["invalid"][0], "the generator used 86 % of its core in phase neighbour");
  use[static_cast<size_t>(Phase::kNeighbour)].generator = 0.85;
  use[static_cast<size_t>(Phase::kWarmUp)].generator = 1;  // nothing is measured there
  EXPECT_TRUE(Judged({{Phase::kAlone}}, use)["invalid"].empty());
}

TEST(VerdictTest, OthersOnOurCoresMakeItDoubtful) {
  PhaseUse use{};
  use[static_cast<size_t>(Phase::kAlone)].others_on_server = 0.2;
  const auto out = Judged({{Phase::kAlone}}, use);
  EXPECT_TRUE(out["invalid"].empty());
  ASSERT_EQ(out["doubts"].size(), 1u);
}

TEST(CpuUseTest, IsSharesOfTheTimeBetween) {
  const CpuSample from{10, 1, 2.0, 3.0, 4.0};
  const CpuSample to{12, 2, 3.5, 4.5, 5.4};
  const CpuUse use = UseBetween(from, to);
  EXPECT_DOUBLE_EQ(use.generator, 0.5);
  EXPECT_DOUBLE_EQ(*use.server, 0.75);
  EXPECT_DOUBLE_EQ(*use.others_on_generator, 0.25);
  EXPECT_EQ(*use.others_on_server, 0) << "less than nothing is a matter of rounding";
  EXPECT_FALSE(UseBetween({0, 0, {}, {}, {}}, to).server.has_value());
}

}  // namespace
}  // namespace keystead::load
