// What the console tells of others: who is named, what they hold in the words of openapi.json, and what this
// app itself met at a place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/cose/encrypt0.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"
#include "core/transport/group_view.h"
#include "mobile-stub/console/others_json.h"
#include "mobile-stub/console/reader_notes.h"
#include "mobile-stub/console/remote.h"
#include "tests/unit/mobile_stub/console/schema.h"

namespace keystead::console {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kWhole[] =
    "name=hall,address=127.0.0.1:1,server=spiffe://acme.example/gateway/hall,chain=c,key=k,roots=r";

TEST(RemoteTest, OneIsNamedByWhatItIsAndWhichCertificateItIsShown) {
  const auto remote = ParseRemote("--observe", kWhole);
  ASSERT_TRUE(remote.ok()) << remote.status();
  EXPECT_EQ(remote->name, "hall");
  EXPECT_EQ(remote->files.roots, "r");
  EXPECT_FALSE(remote->control);
  const auto control =
      ParseRemote("--observe", std::string(kWhole) + ",tenant=acme.example,instantiation=@/f,control");
  ASSERT_TRUE(control.ok()) << control.status();
  EXPECT_TRUE(control->control);
}

TEST(RemoteTest, WhatIsWrongIsSaidInOneLineThatNamesTheOption) {
  const std::string whole = kWhole;
  for (const auto& [text, why] : std::vector<std::pair<std::string, std::string>>{
           {"name=hall", "address=… is missing"},
           {whole + ",name=again", "stands there twice"},
           {whole + ",color=blue", "unknown key 'color'"},
           {whole + ",control", "add tenant=… and instantiation="},
           {whole + ",instantiation=00", "only a control"},
           {"name=h,address=a,server=nobody,chain=c,key=k,roots=r", "nobody"},
       }) {
    const auto remote = ParseRemote("--observe", text);
    EXPECT_EQ(remote.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(remote.status().message()), HasSubstr("--observe")) << text;
    EXPECT_THAT(std::string(remote.status().message()), HasSubstr(why)) << text;
  }
  EXPECT_THAT(std::string(ParseRemotes("--infra", {whole, whole}).status().message()),
              HasSubstr("two are called 'hall'"));
}

class HoldingTest : public ::testing::Test {
 protected:
  HoldingTest() {
    header_.tenant = *TenantName::Parse("acme.keystead.example");
    header_.instantiation = *InstantiationId::FromBytes(std::string(16, 'i'));
    header_.sender = *MemberId::FromBytes(std::string(16, 'm'));
    header_.topic = Topic::Of(TopicKind::kTelemetry, header_.sender);
    header_.epoch = 1;
    header_.stream = *StreamId::FromBytes(std::string(16, 's'));
    asked_.set_sequence(6);
    remote_.name = "hall";
    remote_.address = "127.0.0.1:1";
  }
  std::string Group(const std::vector<std::pair<uint64_t, std::string>>& records) const {
    GroupBuilder builder(header_);
    for (const auto& [sequence, cose] : records) EXPECT_TRUE(builder.Append(sequence, AsBytes(cose)).ok());
    return *builder.Take();
  }
  json Holding() {
    answer_.of = &remote_;
    json out = HoldingJson(answer_, asked_);
    const testing::Schema schema = testing::Schema::FromFile(std::string(std::getenv("KEYSTEAD_SOURCE_DIR")) +
                                                             "/mobile-stub/console/openapi.json");
    EXPECT_THAT(schema.Check(out, schema.document()["components"]["schemas"]["Holding"]), IsEmpty());
    return out;
  }
  std::vector<std::string> Forms(const json& holding) {
    std::vector<std::string> out;
    for (const json& copy : holding["copies"]) out.push_back(copy["form"]);
    return out;
  }

  GroupHeader header_;
  RemoteOptions remote_;
  v1::RecordPlace asked_;
  Others::Answer answer_;
};

TEST_F(HoldingTest, OfAGroupTheRecordThatWasAskedForIsShown) {
  answer_.held.set_holder(v1::HOLDER_GATEWAY);
  v1::HeldGroup& held = *answer_.held.add_groups();
  held.set_group(Group({{5, "five"}, {6, "six"}, {7, "seven"}}));
  held.set_offset(3);
  const json holding = Holding();
  ASSERT_THAT(Forms(holding), ElementsAre("disk"));
  const json& copy = holding["copies"][0];
  EXPECT_EQ(copy["bytes"], ToHex(AsBytes("six")));
  EXPECT_EQ(copy["sha256"], crypto::Sha256(AsBytes("six")).ToHex());
  EXPECT_EQ(copy["header"]["sequence"], 6);
  EXPECT_EQ(copy["header"]["stream"], header_.stream.ToHex());
  EXPECT_EQ(copy["offset"], 3);
}

TEST_F(HoldingTest, ABackendShowsTheDiskAndWhatTheKeystoreMakesOfIt) {
  answer_.held.set_holder(v1::HOLDER_BACKEND);
  v1::HeldGroup& held = *answer_.held.add_groups();
  held.set_group(Group({{6, "six"}}));
  held.set_stored("encrypted at rest");
  const json holding = Holding();
  ASSERT_THAT(Forms(holding), ElementsAre("disk", "keystore"));
  EXPECT_TRUE(holding["copies"][0]["header"].is_null());
  EXPECT_EQ(holding["copies"][0]["bytes"], ToHex(AsBytes("encrypted at rest")));
}

TEST_F(HoldingTest, WhatWasSentInsteadIsShownWhereverItNowStands) {
  answer_.held.set_holder(v1::HOLDER_EQUIPMENT);
  v1::HeldGroup& changed = *answer_.held.add_groups();
  changed.set_group(Group({{6, "six"}}));
  changed.set_attack(2);
  changed.add_sent(Group({{9, "six"}}));
  v1::HeldGroup& dropped = *answer_.held.add_groups();
  dropped.set_group(Group({{6, "six"}}));
  dropped.set_attack(3);
  const json holding = Holding();
  ASSERT_THAT(Forms(holding), ElementsAre("passed", "sent", "passed", "withheld"));
  EXPECT_EQ(holding["copies"][1]["header"]["sequence"], 9);
  EXPECT_EQ(holding["copies"][3]["size"], 0);
}

// As a build without sealing leaves it: the content where the ciphertext would stand.
std::string Unsealed(uint64_t sequence, std::string_view kind) {
  auto aead = crypto::Aes256Gcm::Create(SecretBytes(crypto::kAeadKeyBytes));
  EXPECT_TRUE(aead.ok());
  const Bytes content = EncodeContent(kind, AsBytes("observed-canary"));
  std::string out;
  EXPECT_TRUE(cose::AppendEncrypt0(*aead, {}, AsBytes("12345678"), sequence, {}, content, out).ok());
  return out.replace(out.size() - content.size() - crypto::kAeadTagBytes, content.size(), AsChars(content));
}

TEST_F(HoldingTest, AControlShowsItsNewestReadingWhateverItsSequenceAndWhateverCameSince) {
  remote_.control = true;
  answer_.held.set_holder(v1::HOLDER_GATEWAY);
  answer_.held.add_groups()->set_group(Group({{100, Unsealed(100, kinds::kReadings)}}));
  answer_.held.add_groups()->set_group(Group({{200, Unsealed(200, kinds::kReadings)},
                                              {201, Unsealed(201, kinds::kReadings)},
                                              {202, Unsealed(202, kinds::kCheckpoint)}}));
  answer_.held.add_groups()->set_group(Group({{203, Unsealed(203, kinds::kCheckpoint)}}));
  const json holding = Holding();
  ASSERT_THAT(holding["copies"], SizeIs(1));
  EXPECT_EQ(holding["copies"][0]["header"]["sequence"], 201);
}

TEST_F(HoldingTest, AControlWithoutAReadingShowsTheLastOfItsNewestGroup) {
  remote_.control = true;
  answer_.held.set_holder(v1::HOLDER_GATEWAY);
  answer_.held.add_groups()->set_group(Group({{100, "older"}}));
  answer_.held.add_groups()->set_group(Group({{200, "a"}, {201, Unsealed(201, kinds::kOpening)}}));
  const json holding = Holding();
  ASSERT_THAT(holding["copies"], SizeIs(1));
  EXPECT_EQ(holding["copies"][0]["header"]["sequence"], 201);
}

TEST_F(HoldingTest, AControlThatCannotBeReadIsShownAsItLies) {
  remote_.control = true;
  answer_.held.set_holder(v1::HOLDER_BACKEND);
  answer_.held.add_groups()->set_stored("older");
  answer_.held.add_groups()->set_stored("encrypted at rest");
  const json holding = Holding();
  ASSERT_THAT(Forms(holding), ElementsAre("disk"));
  EXPECT_EQ(holding["copies"][0]["bytes"], ToHex(AsBytes("encrypted at rest")));
}

TEST_F(HoldingTest, WhoDoesNotAnswerIsShownWithWhatToDo) {
  answer_.status = absl::UnimplementedError("no such service");
  const json holding = Holding();
  EXPECT_EQ(holding["holder"], "");
  EXPECT_THAT(holding["error"].get<std::string>(), HasSubstr("start it with --observer"));
}

TEST_F(HoldingTest, WhatIsLargeIsCutAndSaysHowLargeItIs) {
  answer_.held.set_holder(v1::HOLDER_BACKEND);
  answer_.held.add_groups()->set_stored(std::string(1 << 20, 'x'));
  const json holding = Holding();
  EXPECT_EQ(holding["copies"][0]["size"], 1 << 20);
  EXPECT_EQ(holding["copies"][0]["bytes"].get<std::string>().size(), 2u * (16 << 10));
}

TEST_F(HoldingTest, HoweverMuchAHolderSaysOnlySoMuchIsShown) {
  answer_.held.set_holder(v1::HOLDER_BACKEND);
  for (int i = 0; i < 5000; ++i) {
    v1::HeldGroup& held = *answer_.held.add_groups();
    held.set_stored("x");
    held.set_listener(std::string(1000, 'l'));
    held.set_log_id(std::string(1000, 'i'));
    v1::PassedTls& record = *answer_.held.add_tls();
    record.set_listener(std::to_string(i) + std::string(1000, 'l'));
    record.set_direction(i % 2 == 0 ? "up" : "sideways");
  }
  const json holding = Holding();
  EXPECT_THAT(holding["copies"], SizeIs(16));
  EXPECT_EQ(holding["copies"][0]["listener"].get<std::string>().size(), 256u);
  EXPECT_EQ(holding["copies"][0]["log_id"].get<std::string>().size(), 32u);
  EXPECT_THAT(holding["tls"], SizeIs(64));
  EXPECT_EQ(holding["tls"][0]["listener"].get<std::string>().size(), 256u);
  for (const json& record : holding["tls"]) EXPECT_EQ(record["direction"], "up");
}

class NotesTest : public ::testing::Test {
 protected:
  NotesTest() {
    place_.stream = RandomSource::System().NewId<StreamId>();
    place_.topic = Topic::Of(TopicKind::kTelemetry, place_.sender);
  }
  void Open(uint64_t sequence, std::string_view sealed) {
    ReadRecord record;
    record.place = &place_;
    record.sequence = sequence;
    record.sealed = crypto::Sha256(AsBytes(sealed));
    notes_.OnReadings(record, v1::ReadingBatch(), true);
  }
  std::vector<std::string> Kinds(uint64_t sequence) const {
    std::vector<std::string> out;
    for (const Notice& notice : notes_.NoticesAt({place_.stream, sequence})) out.push_back(notice.kind);
    return out;
  }
  ManualClock clock_;
  StreamPlace place_;
  ReaderNotes notes_{&clock_};
};

TEST_F(NotesTest, TheLastThatWasOpenedAtAPlaceCounts) {
  EXPECT_FALSE(notes_.Opened({place_.stream, 1}).has_value());
  Open(1, "shown first");
  Open(1, "what its sender signed");
  EXPECT_EQ(notes_.Opened({place_.stream, 1}), crypto::Sha256(AsBytes("what its sender signed")));
}

TEST_F(NotesTest, WhatIsNoticedStandsAtItsPlaceAndNowhereElse) {
  notes_.OnMissing(place_, {3, 5});
  notes_.OnDuplicate(place_, 4);
  notes_.OnAlarm({.kind = SecurityEventKind::kOpenFailed, .stream = place_.stream.ToHex(), .sequence = 7});
  notes_.OnAlarm({.kind = SecurityEventKind::kMissing, .stream = place_.stream.ToHex(), .sequence = 3});
  notes_.OnAlarm({.kind = SecurityEventKind::kPeerRefused, .peer = "somebody"});
  EXPECT_THAT(Kinds(2), IsEmpty());
  EXPECT_THAT(Kinds(3), ElementsAre("missing"));
  EXPECT_THAT(Kinds(4), ElementsAre("missing", "duplicate"));
  EXPECT_THAT(Kinds(7), ElementsAre("open_failed"));
  EXPECT_THAT(notes_.NoticesAt({RandomSource::System().NewId<StreamId>(), 7}), IsEmpty());
}

TEST_F(NotesTest, MemoryIsBoundedAndTheNewestStays) {
  const uint64_t more = ReaderNotes::kMaxOpened + 100;
  for (uint64_t n = 0; n < more; ++n) {
    Open(n, "x");
    notes_.OnDuplicate(place_, n);
  }
  EXPECT_FALSE(notes_.Opened({place_.stream, 0}).has_value());
  EXPECT_TRUE(notes_.Opened({place_.stream, more - 1}).has_value());
  EXPECT_THAT(Kinds(0), IsEmpty());
  EXPECT_THAT(Kinds(more - 1), SizeIs(1));
}

}  // namespace
}  // namespace keystead::console
