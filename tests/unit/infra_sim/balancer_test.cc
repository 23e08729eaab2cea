#include "infra-sim/balancer.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "infra-sim/group_view.h"
#include "infra-sim/subscribe_pass.h"
#include "tests/unit/infra_sim/fixtures.h"
#include "tests/unit/infra_sim/hop_fixture.h"

namespace keystead::infra {
namespace {

using testing::kAcme;
using testing::kGlobex;

std::string OneGroup(uint64_t sequence, int records = 1) {
  return Group(Header(), sequence, records).SerializeAsString();
}

v1::ArmRequest Counted(v1::AttackKind kind, uint32_t count, const std::string& direction,
                       v1::AttackTarget target = v1::TARGET_UNSPECIFIED) {
  auto attack = Attack(kind, target);
  attack.set_count(count);
  attack.set_direction(direction);
  return attack;
}

TEST_F(HopTest, UnarmedPassesBytesAndAcksThroughUnchanged) {
  StartBalancer();
  Publishing call(Client());
  std::vector<std::string> sent;
  for (uint64_t i = 0; i < 200; ++i) {
    sent.push_back(OneGroup(i, 3));
    ASSERT_TRUE(call.Send({sent.back()}));
  }
  ASSERT_TRUE(call.WaitForAck(200).has_value());
  call.Done();
  EXPECT_TRUE(call.Finish().ok());
  const auto got = next_.groups();
  ASSERT_EQ(got.size(), sent.size());
  for (size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(got[i].group, sent[i]);
  EXPECT_EQ(engine_.Seen(1).records(), 600u);
}

TEST_F(HopTest, EachTenantHasItsOwnIdentityUpstream) {
  StartBalancer();
  for (const char* tenant : {kAcme, kGlobex}) {
    Publishing call(Client(tenant));
    ASSERT_TRUE(call.Send({OneGroup(1)}));
    ASSERT_TRUE(call.WaitForAck(1).has_value());
  }
  const auto got = next_.groups();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].caller, absl::StrCat("spiffe://", kAcme, "/gateway/balancer"));
  EXPECT_EQ(got[1].caller, absl::StrCat("spiffe://", kGlobex, "/gateway/balancer"));
}

TEST_F(HopTest, TenantWithoutUpstreamIsRefused) {
  StartBalancer(false);
  Publishing call(Client(kGlobex));
  v1::PublishResponse response;
  EXPECT_FALSE(call.Read(response));
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(next_.groups().empty());
}

TEST_F(HopTest, NextHopAwayIsUnavailable) {
  StartBalancer();
  next_server_->Shutdown(absl::ZeroDuration());
  Publishing call(Client());
  v1::PublishResponse response;
  EXPECT_FALSE(call.Read(response));
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(HopTest, StatusOfTheNextHopReachesTheSender) {
  StartBalancer();
  // The fake lets gateways in and nobody else; the balancer's own identity is one, so end the call there.
  Publishing call(Client());
  ASSERT_TRUE(call.Send({OneGroup(1)}));
  ASSERT_TRUE(call.WaitForAck(1).has_value());
  next_server_->Shutdown(absl::ZeroDuration());
  v1::PublishResponse response;
  EXPECT_FALSE(call.Read(response));
  EXPECT_FALSE(call.Finish().ok());
}

TEST_F(HopTest, ModifiedRecordGoesOnInPlaceOfTheGenuineOneAndIsAcknowledged) {
  StartBalancer();
  const uint64_t attack = Arm(Counted(v1::ATTACK_MODIFY, 1, "up", v1::TARGET_COSE_CIPHERTEXT));
  Publishing call(Client());
  ASSERT_TRUE(call.Send({OneGroup(1), OneGroup(2)}));
  ASSERT_TRUE(call.WaitForAck(1).has_value());
  const auto got = next_.groups();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_NE(got[0].group, OneGroup(1));
  EXPECT_EQ(got[1].group, OneGroup(2));
  const auto log = engine_.Injections(attack);
  ASSERT_EQ(log.injections_size(), 1);
  EXPECT_EQ(log.injections(0).listener(), "front");
}

TEST_F(HopTest, AckAndDropIsAcknowledgedAndNumbersStayRight) {
  StartBalancer();
  Publishing call(Client());
  ASSERT_TRUE(call.Send({OneGroup(1)}));
  ASSERT_TRUE(call.WaitForAck(1).has_value());
  Arm(Counted(v1::ATTACK_ACK_AND_DROP, 1, "up"));
  ASSERT_TRUE(call.Send({OneGroup(2)}));
  ASSERT_TRUE(call.WaitForAck(2).has_value());
  ASSERT_TRUE(call.Send({OneGroup(3)}));
  ASSERT_TRUE(call.WaitForAck(3).has_value());
  const auto got = next_.groups();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].group, OneGroup(3));
  EXPECT_EQ(got[1].request, 2u);
}

TEST_F(HopTest, DropIsNeverAcknowledgedAndTheCallEndsWhenAsked) {
  StartBalancer();
  auto drop = Counted(v1::ATTACK_DROP, 1, "up");
  drop.set_delay_ms(300);
  Arm(drop);
  Publishing call(Client());
  ASSERT_TRUE(call.Send({OneGroup(1)}));
  ASSERT_TRUE(call.Send({OneGroup(2)}));
  EXPECT_FALSE(call.WaitForAck(1).has_value());
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto got = next_.groups();
  ASSERT_EQ(got.size(), 1u) << "what was not dropped went on";
  EXPECT_EQ(got[0].group, OneGroup(2));
  Publishing again(Client());  // the sender's own retry passes: the attack is spent
  ASSERT_TRUE(again.Send({OneGroup(1)}));
  EXPECT_TRUE(again.WaitForAck(1).has_value());
}

TEST_F(HopTest, ReorderedGroupComesAfterTheNextAndBothAreAcknowledged) {
  StartBalancer();
  auto reorder = Counted(v1::ATTACK_REORDER, 1, "up");
  reorder.set_delay_ms(10'000);
  Arm(reorder);
  Publishing call(Client());
  ASSERT_TRUE(call.Send({OneGroup(1)}));
  ASSERT_TRUE(call.Send({OneGroup(2)}));
  ASSERT_TRUE(call.WaitForAck(2).has_value());
  const auto got = next_.groups();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].group, OneGroup(2));
  EXPECT_EQ(got[1].group, OneGroup(1));
}

TEST_F(HopTest, ReorderedGroupWithoutSuccessorIsNotHeldForEver) {
  StartBalancer();
  auto reorder = Counted(v1::ATTACK_REORDER, 1, "up");
  reorder.set_delay_ms(50);
  Arm(reorder);
  Publishing call(Client());
  ASSERT_TRUE(call.Send({OneGroup(1)}));
  EXPECT_TRUE(call.WaitForAck(1).has_value());
}

TEST_F(HopTest, DelayedGroupKeepsOrderAndIsLate) {
  StartBalancer();
  auto delay = Counted(v1::ATTACK_DELAY, 1, "up");
  delay.set_delay_ms(300);
  Arm(delay);
  Publishing call(Client());
  const absl::Time before = absl::Now();
  ASSERT_TRUE(call.Send({OneGroup(1)}));
  ASSERT_TRUE(call.Send({OneGroup(2)}));
  ASSERT_TRUE(call.WaitForAck(2).has_value());
  EXPECT_GE(absl::Now() - before, absl::Milliseconds(300));
  EXPECT_EQ(next_.groups()[0].group, OneGroup(1));
}

TEST_F(HopTest, RefusalOfAnInjectionIsNotedAndHiddenFromTheSender) {
  StartBalancer();
  const std::string genuine = OneGroup(1);
  next_.set_refuse([&](const std::string& group) { return group != genuine; });
  const uint64_t attack = Arm(Counted(v1::ATTACK_FORGE, 1, "up"));
  Publishing call(Client());
  ASSERT_TRUE(call.Send({genuine}));
  const auto ack = call.WaitForAck(1);
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->refusals_size(), 0);
  EXPECT_EQ(next_.groups().size(), 2u);
  const auto log = engine_.Injections(attack);
  ASSERT_EQ(log.injections_size(), 1);
  EXPECT_EQ(log.injections(0).refused_code(), 3);
}

TEST_F(HopTest, RefusalOfAGenuineGroupReachesTheSenderUnderItsOwnNumbers) {
  StartBalancer();
  const std::string bad = OneGroup(9);
  next_.set_refuse([&](const std::string& group) { return group == bad; });
  Publishing call(Client());
  Arm(Counted(v1::ATTACK_ACK_AND_DROP, 1, "up"));
  ASSERT_TRUE(call.Send({OneGroup(1)}));
  ASSERT_TRUE(call.WaitForAck(1).has_value());
  ASSERT_TRUE(call.Send({OneGroup(2), bad}));
  const auto ack = call.WaitForAck(2);
  ASSERT_TRUE(ack.has_value());
  ASSERT_EQ(ack->refusals_size(), 1);
  EXPECT_EQ(ack->refusals(0).request(), 2u);
  EXPECT_EQ(ack->refusals(0).group(), 1u);
}

TEST_F(HopTest, CancelledPublishEndsUpstreamToo) {
  StartBalancer();
  Publishing call(Client());
  ASSERT_TRUE(call.Send({OneGroup(1)}));
  ASSERT_TRUE(call.WaitForAck(1).has_value());
  call.context().TryCancel();
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::CANCELLED);
  balancer_->Shutdown(absl::Seconds(10));  // would wait for ever if a reactor never finished
}

class Subscribing : public HopTest {
 protected:
  // Entries 10..14 of topic 0 in one response, then 15 in another.
  Subscribing() {
    v1::SubscribeResponse first;
    v1::TopicEntries& entries = *first.add_topics();
    entries.set_log_id("0123456789abcdef");
    entries.set_first_offset(10);
    for (uint64_t i = 10; i < 15; ++i) entries.add_groups(OneGroup(i));
    v1::SubscribeResponse second;
    second.add_topics()->set_first_offset(15);
    second.mutable_topics(0)->add_groups(OneGroup(15));
    second.mutable_topics(0)->set_caught_up(true);
    next_.script = {first, second};
  }
  // Offset and group of everything delivered until caught up; offsets rise, or a reader would end the call.
  std::vector<std::pair<uint64_t, std::string>> Collect(uint64_t from = 0) {
    const auto stub = v1::Transport::NewStub(Client(kAcme, Role::kApp));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::SubscribeRequest request;
    v1::TopicPosition& position = *request.add_topics();
    position.set_topic("keyring");
    if (from > 0) position.set_log_id("0123456789abcdef");
    position.set_next_offset(from);
    const auto stream = stub->Subscribe(&context, request);
    std::vector<std::pair<uint64_t, std::string>> out;
    v1::SubscribeResponse response;
    bool caught_up = false;
    while (!caught_up && stream->Read(&response)) {
      for (const v1::TopicEntries& entries : response.topics()) {
        for (int i = 0; i < entries.groups_size(); ++i) {
          out.emplace_back(entries.first_offset() + static_cast<uint64_t>(i), entries.groups(i));
        }
        caught_up = caught_up || entries.caught_up();
        log_ids_ += entries.log_id();
      }
    }
    EXPECT_TRUE(caught_up);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
    for (size_t i = 1; i < out.size(); ++i) EXPECT_GT(out[i].first, out[i - 1].first);
    return out;
  }
  std::string log_ids_;
};

TEST_F(Subscribing, UnarmedPassesEntriesThrough) {
  StartBalancer();
  const auto got = Collect();
  ASSERT_EQ(got.size(), 6u);
  for (uint64_t i = 0; i < 6; ++i) EXPECT_EQ(got[i], std::make_pair(10 + i, OneGroup(10 + i)));
  EXPECT_EQ(log_ids_, "0123456789abcdef");
}

TEST_F(Subscribing, DroppedEntriesLeaveTheOffsetsOfOthersAlone) {
  StartBalancer();
  Arm(Counted(v1::ATTACK_DROP, 2, "down"));
  const auto got = Collect();
  ASSERT_EQ(got.size(), 4u);
  for (const auto& [offset, group] : got) EXPECT_EQ(group, OneGroup(offset));
  EXPECT_EQ(log_ids_, "0123456789abcdef");
}

TEST_F(Subscribing, AddedEntriesMoveTheOthersUpInThisAndLaterCalls) {
  StartBalancer();
  Arm(Counted(v1::ATTACK_FORGE, 2, "down"));
  const auto got = Collect();
  ASSERT_EQ(got.size(), 8u);
  size_t genuine = 0;
  for (const auto& [offset, group] : got) {
    for (uint64_t i = 10; i < 16; ++i) genuine += group == OneGroup(i) ? 1 : 0;
  }
  EXPECT_EQ(genuine, 6u);
  EXPECT_EQ(got.back(), std::make_pair(uint64_t{17}, OneGroup(15)));
  const auto again = Collect(18);
  ASSERT_EQ(again.size(), 6u);
  EXPECT_EQ(again.front(), std::make_pair(uint64_t{12}, OneGroup(10)));
  EXPECT_EQ(next_.subscribed.topics(0).next_offset(), 16u);
}

TEST_F(Subscribing, ReorderedEntryComesAfterTheNext) {
  StartBalancer();
  Arm(Counted(v1::ATTACK_REORDER, 1, "down"));
  const auto got = Collect();
  ASSERT_EQ(got.size(), 6u);
  EXPECT_EQ(got[0], std::make_pair(uint64_t{11}, OneGroup(11)));
  EXPECT_EQ(got[1], std::make_pair(uint64_t{12}, OneGroup(10)));
  EXPECT_EQ(got[2], std::make_pair(uint64_t{13}, OneGroup(12)));
}

TEST_F(Subscribing, ModifiedEntriesAreLoggedWithDirectionDown) {
  StartBalancer();
  const uint64_t attack = Arm(Counted(v1::ATTACK_MODIFY, 6, "down", v1::TARGET_STREAM));
  EXPECT_EQ(Collect().size(), 6u);
  const auto log = engine_.Injections(attack);
  ASSERT_EQ(log.injections_size(), 6);
  for (const v1::Injection& note : log.injections()) EXPECT_EQ(note.direction(), "down");
}

}  // namespace
}  // namespace keystead::infra
