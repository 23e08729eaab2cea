#include "infra-sim/attacks.h"

#include <gtest/gtest.h>

#include "core/base/topic.h"
#include "core/cose/encrypt0.h"
#include "core/crypto/hash.h"
#include "infra-sim/cose_regions.h"
#include "infra-sim/field_attacks.h"
#include "infra-sim/forge.h"
#include "infra-sim/group_view.h"
#include "tests/unit/infra_sim/fixtures.h"
#include "tests/unit/membership/test_members.h"

namespace keystead::infra {
namespace {

constexpr uint64_t kAll = 1'000'000;

std::string Sha(const std::string& bytes) { return crypto::Sha256(AsBytes(bytes)).ToString(); }

void Remember(GroupMemory& memory, const v1::SealedGroup& group) {
  const std::string bytes = group.SerializeAsString();
  memory.Remember(ScanGroup(bytes)->header, bytes);
}

std::optional<Mutation> Do(const v1::SealedGroup& group, const v1::ArmRequest& attack, uint64_t budget = 1,
                           uint64_t seed = 1, const GroupMemory& memory = GroupMemory()) {
  SeededRandom random(seed);
  return Mutate(group.SerializeAsString(), attack, budget, random, memory);
}

// Which fields of `a` and `b` differ, records of one sequence compared by their bytes.
std::vector<v1::AttackTarget> Differences(const v1::StreamHeader& a, const v1::StreamHeader& b) {
  std::vector<v1::AttackTarget> out;
  if (a.tenant() != b.tenant()) out.push_back(v1::TARGET_TENANT);
  if (a.instantiation() != b.instantiation()) out.push_back(v1::TARGET_INSTANTIATION);
  if (a.topic() != b.topic()) out.push_back(v1::TARGET_TOPIC);
  if (a.sender() != b.sender()) out.push_back(v1::TARGET_SENDER);
  if (a.epoch() != b.epoch()) out.push_back(v1::TARGET_EPOCH);
  if (a.stream() != b.stream()) out.push_back(v1::TARGET_STREAM);
  return out;
}

std::vector<uint64_t> Sequences(const Mutation& mutation) {
  std::vector<uint64_t> out;
  for (const Piece& piece : mutation.pieces) {
    const auto group = ParseGroup(piece.group);
    EXPECT_TRUE(group.has_value());
    uint64_t last = 0;
    for (int i = 0; i < group->records_size(); ++i) {
      EXPECT_TRUE(i == 0 || group->records(i).sequence() > last) << "a malformed group proves nothing";
      last = group->records(i).sequence();
      out.push_back(last);
    }
  }
  return out;
}

TEST(AttacksTest, ModifyOfAHeaderFieldChangesThatFieldAndNothingElse) {
  const v1::SealedGroup group = Group(Header(), 10, 5);
  for (int target = v1::TARGET_TENANT; target <= v1::TARGET_STREAM; ++target) {
    for (uint64_t seed = 0; seed < 30; ++seed) {
      const auto attack = Attack(v1::ATTACK_MODIFY, static_cast<v1::AttackTarget>(target));
      const auto mutation = Do(group, attack, 2, seed);
      ASSERT_TRUE(mutation.has_value());
      ASSERT_EQ(mutation->injections.size(), 2u);
      int changed = 0;
      for (const Piece& piece : mutation->pieces) {
        const auto parsed = ParseGroup(piece.group);
        ASSERT_TRUE(parsed.has_value());
        const auto differences = Differences(parsed->header(), group.header());
        if (piece.injections.empty()) {
          EXPECT_TRUE(differences.empty());
          continue;
        }
        changed += parsed->records_size();
        EXPECT_EQ(differences, std::vector<v1::AttackTarget>{static_cast<v1::AttackTarget>(target)});
        if (target == v1::TARGET_TENANT) {
          EXPECT_TRUE(TenantName::Parse(parsed->header().tenant()).ok());
        }
        if (target == v1::TARGET_TOPIC) {
          EXPECT_TRUE(Topic::Parse(parsed->header().topic()).ok());
        }
        for (const v1::SealedRecord& record : parsed->records()) {
          EXPECT_EQ(record.cose(), group.records(static_cast<int>(record.sequence() - 10)).cose());
        }
      }
      EXPECT_EQ(changed, 2);
      EXPECT_EQ(Sequences(*mutation), (std::vector<uint64_t>{10, 11, 12, 13, 14}));
    }
  }
}

TEST(AttacksTest, ModifyOfTheSequenceMovesTheSameBytesToAnotherSequence) {
  const v1::SealedGroup group = Group(Header(), 10, 1);
  const auto mutation = Do(group, Attack(v1::ATTACK_MODIFY, v1::TARGET_SEQUENCE));
  ASSERT_TRUE(mutation.has_value());
  ASSERT_EQ(mutation->pieces.size(), 1u);
  const auto parsed = ParseGroup(mutation->pieces[0].group);
  EXPECT_TRUE(Differences(parsed->header(), group.header()).empty());
  EXPECT_NE(parsed->records(0).sequence(), 10u);
  EXPECT_EQ(parsed->records(0).cose(), group.records(0).cose());
  EXPECT_EQ(mutation->injections[0].sequence(), 10u);
  EXPECT_EQ(mutation->injections[0].placed_sequence(), parsed->records(0).sequence());
}

TEST(AttacksTest, ModifyOfACoseRegionLeavesOuterFieldsAndNeighboursAlone) {
  const v1::SealedGroup group = Group(Header(), 10, 4);
  for (int target = v1::TARGET_COSE_PROTECTED; target <= v1::TARGET_COSE_TAG; ++target) {
    const auto mutation = Do(group, Attack(v1::ATTACK_MODIFY, static_cast<v1::AttackTarget>(target)), 2);
    ASSERT_TRUE(mutation.has_value());
    ASSERT_EQ(mutation->pieces.size(), 1u);
    const auto parsed = ParseGroup(mutation->pieces[0].group);
    EXPECT_TRUE(Differences(parsed->header(), group.header()).empty());
    int changed = 0;
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(parsed->records(i).sequence(), group.records(i).sequence());
      EXPECT_TRUE(IsCbor(parsed->records(i).cose()));
      if (parsed->records(i).cose() != group.records(i).cose()) ++changed;
    }
    EXPECT_EQ(changed, 2);
  }
}

TEST(AttacksTest, InjectionsNameTheGenuineRecordAndBothHashes) {
  const v1::SealedGroup group = Group(Header(), 10, 1);
  const auto mutation = Do(group, Attack(v1::ATTACK_MODIFY, v1::TARGET_COSE_TAG));
  ASSERT_TRUE(mutation.has_value());
  const v1::Injection& note = mutation->injections.at(0);
  EXPECT_EQ(note.tenant(), kHomeTenant);
  EXPECT_EQ(note.instantiation(), group.header().instantiation());
  EXPECT_EQ(note.topic(), group.header().topic());
  EXPECT_EQ(note.sender(), group.header().sender());
  EXPECT_EQ(note.stream(), group.header().stream());
  EXPECT_EQ(note.epoch(), 4u);
  EXPECT_EQ(note.sequence(), 10u);
  EXPECT_EQ(note.original_sha256(), Sha(group.records(0).cose()));
  EXPECT_EQ(note.injected_sha256(), Sha(ParseGroup(mutation->pieces[0].group)->records(0).cose()));
}

TEST(AttacksTest, DropLeavesTheRecordOutAndOnlyDropWithholdsTheAck) {
  const v1::SealedGroup group = Group(Header(), 10, 5);
  for (const auto kind : {v1::ATTACK_DROP, v1::ATTACK_ACK_AND_DROP}) {
    const auto mutation = Do(group, Attack(kind), 2);
    ASSERT_TRUE(mutation.has_value());
    EXPECT_EQ(mutation->withhold_ack, kind == v1::ATTACK_DROP);
    EXPECT_EQ(Sequences(*mutation).size(), 3u);
    for (const v1::Injection& note : mutation->injections) {
      EXPECT_TRUE(note.injected_sha256().empty());
      EXPECT_FALSE(note.has_placed());
    }
    EXPECT_TRUE(Do(group, Attack(kind), kAll)->pieces.empty());
  }
}

TEST(AttacksTest, DuplicateAddsTheSameBytesAfterTheUntouchedGroup) {
  const v1::SealedGroup group = Group(Header(), 10, 3);
  const auto mutation = Do(group, Attack(v1::ATTACK_DUPLICATE), kAll);
  ASSERT_TRUE(mutation.has_value());
  ASSERT_EQ(mutation->pieces.size(), 2u);
  EXPECT_EQ(mutation->pieces[0].group, group.SerializeAsString());
  EXPECT_TRUE(mutation->pieces[1].extra);
  EXPECT_EQ(ParseGroup(mutation->pieces[1].group)->SerializeAsString(), group.SerializeAsString());
}

TEST(AttacksTest, ReorderSwapsNeighboursAndHoldsALoneRecordBack) {
  const auto mutation = Do(Group(Header(), 10, 2), Attack(v1::ATTACK_REORDER));
  ASSERT_TRUE(mutation.has_value());
  EXPECT_EQ(Sequences(*mutation), (std::vector<uint64_t>{11, 10}));
  EXPECT_FALSE(mutation->hold_back);
  const auto lone = Do(Group(Header(), 10, 1), Attack(v1::ATTACK_REORDER));
  ASSERT_TRUE(lone.has_value());
  EXPECT_TRUE(lone->hold_back);
}

TEST(AttacksTest, ReplayAddsAnOldGenuineGroupAndNeedsOne) {
  const v1::SealedGroup now = Group(Header(), 10, 2);
  const v1::SealedGroup old = Group(Header(), 3, 4);
  GroupMemory memory;
  Remember(memory, now);
  EXPECT_FALSE(Do(now, Attack(v1::ATTACK_REPLAY), 2, 1, memory).has_value());
  Remember(memory, old);
  const auto mutation = Do(now, Attack(v1::ATTACK_REPLAY), 2, 1, memory);
  ASSERT_TRUE(mutation.has_value());
  ASSERT_EQ(mutation->pieces.size(), 2u);
  const auto again = ParseGroup(mutation->pieces[1].group);
  ASSERT_EQ(again->records_size(), 2);
  EXPECT_EQ(again->records(0).cose(), old.records(0).cose());
  EXPECT_EQ(mutation->injections[0].sequence(), 3u);
}

TEST(AttacksTest, SpliceMovesTheGenuineBytesToAnotherGenuinePlace) {
  const v1::SealedGroup group = Group(Header(), 10, 1);
  GroupMemory memory;
  const auto none = Do(group, Attack(v1::ATTACK_SPLICE, v1::TARGET_STREAM), 1, 1, memory);
  EXPECT_FALSE(none.has_value()) << "nothing was seen to splice with";
  Remember(memory, Group(Header(2, 1, 1, 4), 30, 1));                        // another stream
  Remember(memory, Group(Header(3, 2, 1, 4), 40, 1));                        // another sender and topic
  Remember(memory, Group(Header(4, 1, 1, 5), 50, 1));                        // another epoch
  Remember(memory, Group(Header(5, 1, 2, 4), 60, 1));                        // another instantiation
  Remember(memory, Group(Header(6, 1, 3, 4, "globex.example.org"), 70, 1));  // another tenant
  for (int target = v1::TARGET_TENANT; target <= v1::TARGET_STREAM; ++target) {
    const auto wanted = static_cast<v1::AttackTarget>(target);
    const auto mutation = Do(group, Attack(v1::ATTACK_SPLICE, wanted), 1, 5, memory);
    ASSERT_TRUE(mutation.has_value()) << target;
    ASSERT_EQ(mutation->pieces.size(), 1u);
    const auto parsed = ParseGroup(mutation->pieces[0].group);
    EXPECT_EQ(parsed->records(0).cose(), group.records(0).cose());
    const auto differences = Differences(parsed->header(), group.header());
    EXPECT_NE(std::find(differences.begin(), differences.end(), wanted), differences.end());
    if (target >= v1::TARGET_TOPIC) {
      EXPECT_EQ(differences.size(), 1u) << target;
    }
    if (target == v1::TARGET_TENANT) {
      EXPECT_EQ(parsed->records(0).sequence(), 70u);
    }
  }
  Remember(memory, Group(Header(), 90, 1));
  const auto sequence = Do(group, Attack(v1::ATTACK_SPLICE, v1::TARGET_SEQUENCE), 1, 5, memory);
  ASSERT_TRUE(sequence.has_value());
  EXPECT_EQ(Sequences(*sequence), std::vector<uint64_t>{90});
}

TEST(AttacksTest, TruncateCutsRawOrKeepsCbor) {
  const v1::SealedGroup group = Group(Header(), 10, 1);
  const auto raw = Do(group, Attack(v1::ATTACK_TRUNCATE));
  ASSERT_TRUE(raw.has_value());
  const std::string cut = ParseGroup(raw->pieces[0].group)->records(0).cose();
  EXPECT_LT(cut.size(), group.records(0).cose().size());
  EXPECT_TRUE(group.records(0).cose().starts_with(cut));
  for (const auto target : {v1::TARGET_COSE_CIPHERTEXT, v1::TARGET_COSE_TAG}) {
    const auto shorter = Do(group, Attack(v1::ATTACK_TRUNCATE, target));
    ASSERT_TRUE(shorter.has_value());
    EXPECT_TRUE(IsCbor(ParseGroup(shorter->pieces[0].group)->records(0).cose()));
  }
}

TEST(AttacksTest, ForgeAddsWellFormedRecordsAtTheChosenPlace) {
  const v1::SealedGroup group = Group(Header(), 10, 2);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto next = Do(group, Attack(v1::ATTACK_FORGE), 1, seed);
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(next->pieces[0].group, group.SerializeAsString());
    const auto forged = ParseGroup(next->pieces[1].group);
    EXPECT_EQ(forged->records(0).sequence(), 12u);
    const auto strict = cose::ParseEncrypt0(AsBytes(forged->records(0).cose()));
    ASSERT_TRUE(strict.ok()) << strict.status();
    EXPECT_EQ(strict->sequence, 12u);
  }
  const auto same = Do(group, Attack(v1::ATTACK_FORGE, v1::TARGET_SEQUENCE), 2);
  EXPECT_EQ(Sequences(*same), (std::vector<uint64_t>{10, 11, 10, 11}));
  const auto stream = Do(group, Attack(v1::ATTACK_FORGE, v1::TARGET_STREAM));
  const auto opened = ParseGroup(stream->pieces[1].group);
  EXPECT_EQ(opened->records(0).sequence(), 0u);
  EXPECT_EQ(Differences(opened->header(), group.header()), std::vector{v1::TARGET_STREAM});
  const auto sign1 = Do(group, Attack(v1::ATTACK_FORGE, v1::TARGET_COSE_PROTECTED));
  EXPECT_TRUE(LocateRegions(ParseGroup(sign1->pieces[1].group)->records(0).cose())->is_sign1);
}

TEST(AttacksTest, ForgedKeyringRecordDiffersOnlyInItsSignature) {
  const v1::SealedGroup group = KeyringGroup(4);
  auto attack = Attack(v1::ATTACK_FORGE, v1::TARGET_SEQUENCE);
  attack.set_topic_prefix("keyring");
  const auto mutation = Do(group, attack);
  ASSERT_TRUE(mutation.has_value());
  const std::string before = group.records(0).cose();
  const std::string after = ParseGroup(mutation->pieces[1].group)->records(0).cose();
  const auto a = LocateRegions(before), b = LocateRegions(after);
  ASSERT_TRUE(a.has_value() && b.has_value());
  EXPECT_EQ(before.substr(0, a->tag->begin), after.substr(0, b->tag->begin));
  EXPECT_NE(before.substr(a->tag->begin, 64), after.substr(b->tag->begin, 64));
}

// Whoever took the attacker for the owner would take the forged commit: its place is right, and so is its
// form. So what refuses it is the owner's key.
TEST(AttacksTest, ForgedCommitIsWrongInNothingButTheKey) {
  TestOwner owner;
  MembershipChain chain(owner.tenant, owner.id);
  const CommitBundle bundle = owner.Sign(owner.Body(nullptr, {}));
  v1::StreamHeader
      header;  // as a balancer sees it at the registry: neither topic nor sender nor epoch of the commit
  header.set_tenant(owner.tenant.str());
  header.set_instantiation(owner.id.ToString());
  header.set_topic(std::string(kRegistryTopic));
  const auto attacker = crypto::EcdsaKeyPair::Generate();
  ASSERT_TRUE(attacker.ok());
  const Bytes genuine = bundle.EncodeContent();
  const Forged forged = ForgeSign1(AsChars(genuine), header, 0, *attacker);
  const auto parsed = CommitBundle::ParseContent(AsBytes(forged.cose));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  SignedPlace place;
  place.tenant = owner.tenant;
  place.id = owner.id;
  place.topic = Topic::Keyring();
  place.sender = owner.self.id;
  place.epoch = 0;
  EXPECT_TRUE(VerifyObject(bundle.commit, owner.self.ik.public_key(), kinds::kCommit, place).ok());
  EXPECT_TRUE(VerifyObject(parsed->commit, attacker->public_key(), kinds::kCommit, place).ok());
  EXPECT_FALSE(VerifyObject(parsed->commit, owner.self.ik.public_key(), kinds::kCommit, place).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(chain.Apply(*parsed).status()));
  EXPECT_TRUE(chain.Apply(bundle).ok());
}

TEST(AttacksTest, AnEpochIsBorrowedOnlyFromTheSameTopic) {
  const v1::SealedGroup group = Group(Header(), 10, 1);
  GroupMemory memory;
  Remember(memory, Group(Header(2, 2, 1, 3), 20, 1));  // an earlier epoch, in which another topic was written
  const auto attack = Attack(v1::ATTACK_SPLICE, v1::TARGET_EPOCH);
  EXPECT_FALSE(Do(group, attack, 1, 1, memory).has_value());
  Remember(memory, Group(Header(3, 1, 1, 2), 30, 1));
  const auto spliced = Do(group, attack, 1, 1, memory);
  ASSERT_TRUE(spliced.has_value());
  EXPECT_EQ(ParseGroup(spliced->pieces[0].group)->header().epoch(), 2u);
}

TEST(AttacksTest, FiltersByTopicAndInstantiationAndLeavesPseudoTopicsAlone) {
  const v1::SealedGroup group = Group(Header(), 10, 1);
  auto attack = Attack(v1::ATTACK_DROP);
  attack.set_topic_prefix("command/");
  EXPECT_FALSE(Do(group, attack).has_value());
  attack.set_topic_prefix("telemetry/");
  EXPECT_TRUE(Do(group, attack).has_value());
  attack.set_instantiation(std::string(16, 9));
  EXPECT_FALSE(Do(group, attack).has_value());
  v1::SealedGroup bundle = KeyringGroup(0);
  bundle.mutable_header()->set_topic(std::string(kRegistryTopic));
  EXPECT_FALSE(Do(bundle, Attack(v1::ATTACK_DROP)).has_value());
  auto named = Attack(v1::ATTACK_DROP);
  named.set_topic_prefix("registry");
  EXPECT_TRUE(Do(bundle, named).has_value());
}

TEST(AttacksTest, UnparsableGroupsPassUnharmed) {
  SeededRandom random(1);
  for (const std::string& bytes : {std::string(), std::string("\xff\xff"), std::string(100, '\n')}) {
    EXPECT_FALSE(Mutate(bytes, Attack(v1::ATTACK_DROP), 1, random, GroupMemory()).has_value());
  }
}

TEST(AttacksTest, RefusesAttacksThatDoNotExist) {
  EXPECT_FALSE(CheckAttack({}).ok());
  EXPECT_FALSE(CheckAttack(Attack(v1::ATTACK_MODIFY)).ok());
  EXPECT_FALSE(CheckAttack(Attack(v1::ATTACK_SPLICE, v1::TARGET_COSE_TAG)).ok());
  EXPECT_FALSE(CheckAttack(Attack(v1::ATTACK_TRUNCATE, v1::TARGET_TENANT)).ok());
  auto sideways = Attack(v1::ATTACK_DROP);
  sideways.set_direction("sideways");
  EXPECT_FALSE(CheckAttack(sideways).ok());
  EXPECT_TRUE(CheckAttack(Attack(v1::ATTACK_MODIFY, v1::TARGET_COSE_KID)).ok());
}

TEST(GroupViewTest, CountsAsProtobufDoes) {
  const v1::SealedGroup group = Group(Header(), 10, 7);
  const std::string bytes = group.SerializeAsString();
  const auto view = ScanGroup(bytes);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->records, 7u);
  uint64_t cose = 0;
  for (const auto& record : group.records()) cose += record.cose().size();
  EXPECT_EQ(view->cose_bytes, cose);
  EXPECT_EQ(view->header, group.header().SerializeAsString());
  EXPECT_FALSE(ScanGroup(bytes.substr(0, bytes.size() - 1)).has_value());
}

TEST(GroupMemoryTest, StaysWithinItsLimitsAndKeepsOldSamples) {
  GroupMemory memory({.latest_bytes = 4000, .latest_groups = 5, .samples = 2, .sample_bytes = 100000});
  for (uint8_t i = 1; i <= 50; ++i) Remember(memory, Group(Header(i), i, 1));
  EXPECT_LE(memory.Latest(1000).size(), 5u);
  EXPECT_EQ(ParseGroup(*memory.Latest(1)[0])->records(0).sequence(), 50u);
  SeededRandom random(3);
  const auto first =
      memory.Pick([](const v1::SealedGroup& g) { return g.records(0).sequence() == 1; }, random);
  EXPECT_NE(first, nullptr);
}

}  // namespace
}  // namespace keystead::infra
