#include "infra-sim/tls_attacks.h"

#include <gtest/gtest.h>

#include "infra-sim/attacks.h"
#include "tests/unit/infra_sim/fixtures.h"

namespace keystead::infra {
namespace {

std::string TlsRecord(uint8_t type, const std::string& payload) {
  std::string out = {static_cast<char>(type), 3, 3, static_cast<char>(payload.size() >> 8),
                     static_cast<char>(payload.size())};
  return out + payload;
}

v1::ArmRequest TlsAttack(v1::AttackKind kind) {
  auto attack = Attack(kind);
  attack.set_topic_prefix(std::string(kTlsTopic));
  return attack;
}

TEST(TlsRecordSplitterTest, CutsWholeRecordsHoweverTheBytesCome) {
  const std::vector<std::string> records = {TlsRecord(22, "hello"), TlsRecord(23, std::string(16000, 'x')),
                                            TlsRecord(23, "")};
  std::string all;
  for (const auto& record : records) all += record;
  for (const size_t step : {size_t{1}, size_t{3}, size_t{4096}, all.size()}) {
    TlsRecordSplitter splitter;
    std::vector<std::string> out;
    for (size_t at = 0; at < all.size(); at += step) {
      for (auto& record : splitter.Feed(std::string_view(all).substr(at, step))) out.push_back(record);
    }
    EXPECT_EQ(out, records) << step;
    EXPECT_EQ(splitter.TakeRest(), "");
  }
}

TEST(TlsRecordSplitterTest, PassesWhatIsNotTlsThrough) {
  TlsRecordSplitter splitter;
  const auto out = splitter.Feed("GET / HTTP/1.1\r\n");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], "GET / HTTP/1.1\r\n");
  EXPECT_FALSE(splitter.is_tls());
  TlsRecordSplitter too_long;
  EXPECT_EQ(too_long.Feed(std::string("\x17\x03\x03\xff\xff", 5)).size(), 1u);
}

TEST(TlsAttacksTest, ModifyFlipsOneBitOfThePayload) {
  const std::string record = TlsRecord(23, "ciphertext of forty bytes, more or less.");
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SeededRandom random(seed);
    const auto mutation = MutateTls(record, TlsAttack(v1::ATTACK_MODIFY), random, TlsMemory());
    ASSERT_TRUE(mutation.has_value());
    const std::string& changed = mutation->records.at(0);
    ASSERT_EQ(changed.size(), record.size());
    EXPECT_EQ(changed.substr(0, kTlsHeaderBytes), record.substr(0, kTlsHeaderBytes));
    int bits = 0;
    for (size_t i = 0; i < record.size(); ++i) {
      bits += __builtin_popcount(static_cast<uint8_t>(changed[i]) ^ static_cast<uint8_t>(record[i]));
    }
    EXPECT_EQ(bits, 1);
    EXPECT_NE(mutation->injection.original_sha256(), mutation->injection.injected_sha256());
  }
}

TEST(TlsAttacksTest, EachKindDoesWhatItsNameSays) {
  const std::string record = TlsRecord(23, "this record"), old = TlsRecord(23, "an older record");
  TlsMemory memory;
  memory.Remember(record);
  SeededRandom random(1);
  const auto run = [&](v1::AttackKind kind) { return MutateTls(record, TlsAttack(kind), random, memory); };
  EXPECT_FALSE(run(v1::ATTACK_REPLAY).has_value()) << "nothing older was seen";
  memory.Remember(old);
  EXPECT_EQ(run(v1::ATTACK_REPLAY)->records, (std::vector<std::string>{record, old}));
  EXPECT_EQ(run(v1::ATTACK_SPLICE)->records, std::vector<std::string>{old});
  EXPECT_EQ(run(v1::ATTACK_DUPLICATE)->records, (std::vector<std::string>{record, record}));
  EXPECT_TRUE(run(v1::ATTACK_DROP)->records.empty());
  EXPECT_TRUE(run(v1::ATTACK_ACK_AND_DROP)->black_hole);
  EXPECT_TRUE(run(v1::ATTACK_TRUNCATE)->close);
  EXPECT_TRUE(run(v1::ATTACK_REORDER)->hold_back);
  EXPECT_EQ(run(v1::ATTACK_FORGE)->records.at(0).size(), record.size());
  EXPECT_NE(run(v1::ATTACK_FORGE)->records.at(0), record);
  EXPECT_FALSE(MutateTls(TlsRecord(22, "handshake"), TlsAttack(v1::ATTACK_DROP), random, memory).has_value());
}

}  // namespace
}  // namespace keystead::infra
