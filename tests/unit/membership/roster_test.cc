#include "core/membership/roster.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "tests/unit/membership/test_members.h"

namespace keystead {
namespace {

class RosterTest : public testing::Test {
 protected:
  RosterTest() : owner_(MakeTestMember(random_)), device_(MakeTestMember(random_)) {}
  Topic TopicOf(TopicKind kind) const { return Topic::Of(kind, device_.id); }
  RosterEntry Device() const {
    return EntryOf(
        device_, MemberKind::kDevice,
        {{TopicOf(TopicKind::kCommand), true, false}, {TopicOf(TopicKind::kTelemetry), false, true}});
  }
  RosterEntry Owner() const { return EntryOf(owner_, MemberKind::kOwner); }
  static Bytes Encode(const Roster& roster) {
    cose::CborWriter w;
    roster.WriteTo(w);
    return w.Take();
  }
  static absl::StatusOr<Roster> Decode(ByteView bytes) {
    cose::CborReader r(bytes);
    KS_ASSIGN_OR_RETURN(Roster roster, Roster::ReadFrom(r));
    KS_RETURN_IF_ERROR(r.Finish());
    return roster;
  }
  static absl::StatusCode Code(std::vector<RosterEntry> entries) {
    return Roster::Create(std::move(entries)).status().code();
  }

  SeededRandom random_{2};
  TestMember owner_;
  TestMember device_;
};

constexpr auto kBad = absl::StatusCode::kInvalidArgument;

TEST_F(RosterTest, RoundTripIsCanonical) {
  RosterEntry device = Device();
  device.expires_at = -5;
  device.sealed_label = Bytes(256, 7);
  const TestMember carrier = MakeTestMember(random_);
  const Roster roster = Roster::Create({device, Owner(), EntryOf(carrier, MemberKind::kCourier)}).value();
  const Bytes bytes = Encode(roster);
  const auto again = Decode(bytes);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Encode(*again), bytes);
  const RosterEntry* found = again->Find(device_.id);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->rights, device.rights);
  EXPECT_EQ(found->expires_at, device.expires_at);
  EXPECT_EQ(found->sealed_label, device.sealed_label);
  EXPECT_EQ(found->ik, device.ik);
  EXPECT_EQ(again->FindByTransport(device.transport), found);
  EXPECT_EQ(again->FindByCkt(device.ckt()), found);
  EXPECT_EQ(again->Find(random_.NewId<MemberId>()), nullptr);
  EXPECT_EQ(again->FindByTransport("spiffe://nobody"), nullptr);
  EXPECT_EQ(again->FindByCkt(Digest()), nullptr) << "a courier has no thumbprint that could be found";
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(Decode(ByteView(bytes).first(size)).ok()) << size;
}

TEST_F(RosterTest, RefusesTwoOfAnything) {
  EXPECT_EQ(Code({Device(), Device()}), kBad);
  const TestMember other = MakeTestMember(random_);
  RosterEntry entry = EntryOf(other, MemberKind::kDevice);
  entry.transport = Device().transport;
  EXPECT_EQ(Code({Device(), entry}), kBad);
  entry = EntryOf(other, MemberKind::kDevice);
  entry.ik = device_.ik.public_key();
  EXPECT_EQ(Code({Device(), entry}), kBad);
  entry = EntryOf(other, MemberKind::kDevice);
  entry.member = device_.id;
  EXPECT_EQ(Code({Device(), entry}), kBad);
  EXPECT_EQ(Code({Device(), EntryOf(other, MemberKind::kDevice)}), absl::StatusCode::kOk);
}

TEST_F(RosterTest, RefusesMissingKeysAndKeysOfACourier) {
  RosterEntry entry = Device();
  entry.k = {};
  EXPECT_EQ(Code({entry}), kBad);
  entry = Device();
  entry.ik = {};
  EXPECT_EQ(Code({entry}), kBad);
  entry = Device();
  entry.kind = MemberKind::kCourier;
  entry.rights.clear();
  EXPECT_EQ(Code({entry}), kBad);
  entry = EntryOf(device_, MemberKind::kCourier, Device().rights);
  EXPECT_EQ(Code({entry}), kBad);
}

TEST_F(RosterTest, RefusesRightsOutOfOrderTwiceEmptyOrForKeyring) {
  RosterEntry entry = Device();
  std::swap(entry.rights[0], entry.rights[1]);
  EXPECT_EQ(Code({entry}), kBad);
  entry = Device();
  entry.rights[1] = entry.rights[0];
  EXPECT_EQ(Code({entry}), kBad);
  entry = Device();
  entry.rights[0].read = false;
  EXPECT_EQ(Code({entry}), kBad);
  entry = Device();
  entry.rights = {{Topic::Keyring(), true, true}};
  EXPECT_EQ(Code({entry}), kBad);
}

TEST_F(RosterTest, RefusesLongTextsAndTooManyMembers) {
  RosterEntry entry = Device();
  entry.transport = std::string(513, 'x');
  EXPECT_EQ(Code({entry}), kBad);
  entry.transport.clear();
  EXPECT_EQ(Code({entry}), kBad);
  entry = Device();
  entry.sealed_label = Bytes(257, 0);
  EXPECT_EQ(Code({entry}), kBad);
  std::vector<RosterEntry> couriers;
  for (size_t i = 0; i <= limits::kMaxRosterEntries; ++i) {
    RosterEntry courier;
    courier.member = random_.NewId<MemberId>();
    courier.kind = MemberKind::kCourier;
    courier.transport = "t" + std::to_string(i);
    couriers.push_back(courier);
  }
  EXPECT_EQ(Code(couriers), kBad);
  couriers.pop_back();
  EXPECT_EQ(Code(couriers), absl::StatusCode::kOk);
}

TEST_F(RosterTest, ReadingRefusesMembersOutOfOrderAndUnknownKindsAndRights) {
  const Roster roster = Roster::Create({Device(), Owner()}).value();
  cose::CborWriter one, two;
  Roster::Create({roster.entries()[0]}).value().WriteTo(one);
  Roster::Create({roster.entries()[1]}).value().WriteTo(two);
  cose::CborWriter swapped;
  swapped.Array(2).Raw(ByteView(two.bytes()).subspan(1)).Raw(ByteView(one.bytes()).subspan(1));
  EXPECT_FALSE(Decode(swapped.bytes()).ok());
  cose::CborWriter good;
  good.Array(2).Raw(ByteView(one.bytes()).subspan(1)).Raw(ByteView(two.bytes()).subspan(1));
  EXPECT_TRUE(Decode(good.bytes()).ok());

  const auto entry_with = [&](uint64_t kind, uint64_t right) {
    cose::CborWriter w;
    w.Array(1).Array(8).Bstr(device_.id.view()).Uint(kind).Text("t");
    cose::EncodeOne(w, device_.ik.public_key());
    cose::EncodeOne(w, device_.k.public_key());
    w.Array(1).Array(2).Text(TopicOf(TopicKind::kState).str()).Uint(right).Null().Null();
    return w.Take();
  };
  EXPECT_TRUE(Decode(entry_with(1, 2)).ok());
  EXPECT_FALSE(Decode(entry_with(5, 2)).ok());
  EXPECT_FALSE(Decode(entry_with(1, 4)).ok());
  EXPECT_FALSE(Decode(entry_with(1, 0)).ok());
}

TEST_F(RosterTest, RightsAreExactlyWhatStandsThere) {
  const TestMember gateway = MakeTestMember(random_);
  const TestMember courier = MakeTestMember(random_);
  const Roster roster = Roster::Create({Device(), Owner(), EntryOf(gateway, MemberKind::kGateway),
                                        EntryOf(courier, MemberKind::kCourier)})
                            .value();
  const RosterEntry& d = *roster.Find(device_.id);
  const RosterEntry& o = *roster.Find(owner_.id);
  const RosterEntry& g = *roster.Find(gateway.id);
  const RosterEntry& c = *roster.Find(courier.id);
  const Topic telemetry = TopicOf(TopicKind::kTelemetry);
  const Topic command = TopicOf(TopicKind::kCommand);
  const Topic grouped = Topic::Parse(telemetry.str() + "/power").value();
  EXPECT_TRUE(roster.MayWrite(d, telemetry));
  EXPECT_FALSE(roster.MayRead(d, telemetry));
  EXPECT_TRUE(roster.MayRead(d, command));
  EXPECT_FALSE(roster.MayWrite(d, command));
  EXPECT_FALSE(roster.MayWrite(d, grouped)) << "a group is a topic of its own";
  EXPECT_FALSE(roster.MayRead(d, TopicOf(TopicKind::kState)));
  EXPECT_TRUE(roster.MayRead(o, grouped) && roster.MayWrite(o, command));
  EXPECT_FALSE(roster.MayRead(g, telemetry) || roster.MayWrite(g, telemetry)) << "by default nothing";
  EXPECT_TRUE(Roster::MayCarry(g) && Roster::MayCarry(c));
  EXPECT_FALSE(Roster::MayCarry(d) || Roster::MayCarry(o));
  EXPECT_TRUE(roster.MayRead(c, Topic::Keyring()));
  EXPECT_FALSE(roster.MayWrite(c, Topic::Keyring()));
  EXPECT_TRUE(roster.MayWrite(d, Topic::Keyring())) << "its own probes";
}

}  // namespace
}  // namespace keystead
