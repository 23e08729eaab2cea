#include "tests/load/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/load/behaviour.h"
#include "tests/load/engine.h"

namespace keystead::load {
namespace {

TEST(PlanTest, ComesOutOfJsonAsItWentIn) {
  Plan plan;
  plan.address = "127.0.0.1:7443";
  plan.neighbour_address = "[::1]:7443";
  plan.target_id = "spiffe://provider.load.example/service/backend";
  plan.roots = "r";
  plan.credentials = "c";
  plan.tenants = 7;
  plan.neighbours = 2;
  plan.devices = 5;
  plan.households = 3;
  plan.arrivals = ArrivalKind::kConstant;
  plan.rate = 12.5;
  plan.batch = 4;
  plan.record_bytes = 1000;
  plan.subscribers = plan.neighbour_obeys = true;
  plan.seed = 99;
  plan.patience_seconds = 3;
  const absl::StatusOr<Plan> back = PlanFromJson(ToJson(plan));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), ToJson(plan));
  EXPECT_EQ(back->victims(), 5);
}

TEST(PlanTest, EveryFieldIsAskedFor) {
  const nlohmann::json whole = ToJson(Plan());
  for (const auto& [name, value] : whole.items()) {
    nlohmann::json less = whole;
    less.erase(name);
    EXPECT_EQ(PlanFromJson(less).status().code(), absl::StatusCode::kInvalidArgument) << name;
    less[name] = nlohmann::json::object();
    EXPECT_EQ(PlanFromJson(less).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

TEST(BehaviourTest, NamesAreReadAsTheyAreWritten) {
  EXPECT_EQ(AllBehaviours().size(), 10u);
  for (const Behaviour behaviour : AllBehaviours()) {
    EXPECT_EQ(BehaviourFromName(BehaviourName(behaviour)), behaviour);
    EXPECT_FALSE(BehaviourSentence(behaviour).empty());
  }
  EXPECT_FALSE(BehaviourFromName("rude").has_value());
}

TEST(EngineCoreTest, WakesInTheOrderOfTheirTimes) {
  grpc::CompletionQueue queue;
  EngineCore core(&queue);
  std::vector<int64_t> woken;
  for (const int64_t at : {30, 10, 20}) core.WakeAt(at, [&woken, at](int64_t) { woken.push_back(at); });
  EXPECT_EQ(core.next_wake_ns(), 10);
  core.RunDue(5);
  EXPECT_TRUE(woken.empty());
  core.WakeAt(12, [&](int64_t now) {
    woken.push_back(12);
    core.WakeAt(now, [&woken](int64_t) { woken.push_back(0); });
  });
  core.RunDue(20);
  EXPECT_EQ(woken, (std::vector<int64_t>{10, 12, 20, 0}));
  EXPECT_EQ(core.next_wake_ns(), 30);
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  EXPECT_FALSE(queue.Next(&tag, &ok));
}

}  // namespace
}  // namespace keystead::load
