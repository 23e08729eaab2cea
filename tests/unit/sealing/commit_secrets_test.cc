#include "core/sealing/commit_secrets.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "tests/unit/sealing/test_world.h"

namespace keystead {
namespace {

std::string Hex(const SecretBytes& s) { return ToHex(s.ExposeSecret()); }

class CommitSecretsTest : public testing::Test {
 protected:
  std::string E(const Party& party) { return Hex(party.ring().epoch_secret().secret()); }
  static bool Has(const Party& party, const Topic& topic, const MemberId& sender) {
    return party.ring().SenderKeyFor(party.chain().epoch(), topic, sender).ok();
  }
  World world_;
};

TEST_F(CommitSecretsTest, OwnerAndSecondFullMemberWalkTheSameChain) {
  Party& second = world_.Add(MemberKind::kOwner);
  ASSERT_TRUE(second.member->belongs());
  EXPECT_EQ(E(second), E(world_.owner)) << "through the joiner secret";
  const std::string first = E(second);
  world_.NewEpoch();
  EXPECT_EQ(E(second), E(world_.owner)) << "through the commit secret";
  EXPECT_NE(E(second), first);
  world_.AddDevice();
  EXPECT_EQ(E(second), E(world_.owner));
}

TEST_F(CommitSecretsTest, ADeviceGetsExactlyItsGrants) {
  Party& device = world_.AddDevice();
  Party& other = world_.AddDevice();
  const Topic telemetry = Topic::Of(TopicKind::kTelemetry, device.id());
  const Topic command = Topic::Of(TopicKind::kCommand, device.id());
  const Topic state = Topic::Of(TopicKind::kState, device.id());
  EXPECT_FALSE(device.ring().is_full_member());
  EXPECT_TRUE(Has(device, telemetry, device.id()));
  EXPECT_TRUE(Has(device, state, device.id()));
  EXPECT_TRUE(Has(device, command, world_.owner.id()));
  EXPECT_FALSE(Has(device, telemetry, world_.owner.id())) << "write access is one's own S and nothing more";
  EXPECT_FALSE(device.ring().TopicKeyFor(telemetry).ok());
  EXPECT_FALSE(Has(other, telemetry, device.id()));
  EXPECT_FALSE(Has(other, command, world_.owner.id()));
  EXPECT_EQ(Hex(device.ring().SenderKeyFor(2, telemetry, device.id())->secret()),
            Hex(world_.owner.ring().SenderKeyFor(2, telemetry, device.id())->secret()));
}

TEST_F(CommitSecretsTest, CouriersAndTheOwnerGetNoWrap) {
  CommitRequest request;
  Newcomer courier;
  courier.entry = EntryOf(MakeTestMember(world_.random), MemberKind::kCourier);
  request.add.push_back(std::move(courier));
  EXPECT_TRUE(world_.Next(request).bundle.wraps.empty());
}

TEST_F(CommitSecretsTest, ARemovedMemberCannotFollow) {
  Party& second = world_.Add(MemberKind::kOwner);
  Party& device = world_.AddDevice();
  const std::string before = E(second);
  world_.Remove(second);
  EXPECT_FALSE(second.member->belongs());
  EXPECT_EQ(second.ring().epoch(), 2u) << "no new keys";
  EXPECT_EQ(E(second), before);
  const CommitBundle bundle = CommitBundle::ParseContent(world_.contents.back()).value();
  for (const Wrap& wrap : bundle.wraps) {
    EXPECT_NE(wrap.member, second.id());
    const WrapPlace place{world_.tenant, world_.id, 3, second.chain().At(2)->hash};
    EXPECT_FALSE(OpenWrap(place, wrap, second.keys.k, nullptr).ok());
  }
  EXPECT_TRUE(device.member->belongs());
}

TEST_F(CommitSecretsTest, AWrapOpensForItsMemberPlaceKindAndPskOnly) {
  Party& device = world_.Newcomers();
  Party& other = world_.Newcomers();
  const WrapPlace place{world_.tenant, world_.id, 4, world_.owner.chain().head().hash};
  const SecretBytes psk = FirstWrapPsk(device.join, world_.id, device.id()).value();
  const SecretBytes content = world_.random.Secret(50);
  for (const SecretBytes* first : {static_cast<const SecretBytes*>(nullptr), &psk}) {
    const Wrap wrap = SealWrap(place, device.id(), device.keys.k.public_key(), WrapKind::kGrants, first,
                               content, world_.random)
                          .value();
    EXPECT_EQ(wrap.first, first != nullptr);
    const auto opens = [&](const WrapPlace& p, const Wrap& w, const Party& by, const SecretBytes* with) {
      const auto opened = OpenWrap(p, w, by.keys.k, with);
      EXPECT_TRUE(!opened.ok() || opened->ConstantTimeEquals(content));
      return opened.ok();
    };
    EXPECT_TRUE(opens(place, wrap, device, first));
    EXPECT_FALSE(opens(place, wrap, other, first));
    EXPECT_FALSE(opens(place, wrap, device, first == nullptr ? &psk : nullptr)) << "the other mode";
    const SecretBytes wrong = FirstWrapPsk(device.join, world_.id, other.id()).value();
    EXPECT_FALSE(first != nullptr && opens(place, wrap, device, &wrong));
    std::vector<WrapPlace> places(4, place);
    places[0].tenant = TenantName::Parse("b.keystead.example").value();
    places[1].id = InstantiationId();
    places[2].epoch = 5;
    places[3].parent.reset();
    for (const WrapPlace& elsewhere : places) EXPECT_FALSE(opens(elsewhere, wrap, device, first));
    Wrap moved = wrap;
    moved.member = other.id();
    EXPECT_FALSE(opens(place, moved, device, first));
    moved = wrap;
    moved.kind = WrapKind::kJoiner;
    EXPECT_FALSE(opens(place, moved, device, first));
    for (size_t i = 0; i < wrap.sealed.size(); ++i) {
      moved = wrap;
      moved.sealed[i] ^= 1;
      EXPECT_FALSE(opens(place, moved, device, first)) << i;
    }
  }
}

// Even the owner's own signature does not make these open: the secrets beside a commit are bound to it.
TEST_F(CommitSecretsTest, WrapsOfAnotherCommitOrMemberAreRefused) {
  Party& one = world_.Add(MemberKind::kOwner);
  Party& two = world_.Add(MemberKind::kOwner);
  const NewCommit next = world_.Next({});
  const auto resign = [&](std::vector<Wrap> wraps) {
    CommitBundle bundle = next.bundle;
    const CommitBody body = VerifyCommit(next.bundle, &world_.owner.chain().owner())->body;
    bundle.commit = SignCommit(world_.owner.keys.ik, world_.owner.id(), body, WrapsHash(wraps)).value();
    bundle.wraps = std::move(wraps);
    return bundle;
  };
  ASSERT_EQ(next.bundle.wraps.size(), 2u);
  std::vector<Wrap> swapped = next.bundle.wraps;
  std::swap(swapped[0].sealed, swapped[1].sealed);
  const auto effect = [&](Party& party, const CommitBundle& bundle) {
    return party.member->AcceptKeyring(world_.CommitPlace(3), 0, bundle.EncodeContent());
  };
  EXPECT_EQ(effect(one, resign(swapped)), KeyringEffect::kRefused);
  EXPECT_EQ(effect(two, resign(swapped)), KeyringEffect::kRefused);
  const NewCommit other = world_.Next({});
  std::vector<Wrap> mixed = next.bundle.wraps;
  EXPECT_EQ(effect(one, resign({})), KeyringEffect::kRefused) << "a member without its wrap";
  EXPECT_EQ(effect(one, next.bundle), KeyringEffect::kEpoch) << "a refusal changed nothing";
  EXPECT_EQ(E(one), Hex(next.secret.secret()));
}

TEST_F(CommitSecretsTest, TheFirstWrapMustBeUnderTheJoinSecret) {
  Party& device = world_.Newcomers();
  CommitRequest request;
  request.add.push_back(world_.NewcomerOf(device, MemberKind::kDevice, DefaultDeviceRights(device.id())));
  request.add[0].join = JoinSecret(world_.random.Secret(kSecretBytes));  // somebody else's
  const NewCommit wrong = world_.Next(request);
  EXPECT_EQ(device.member->AcceptKeyring(world_.CommitPlace(0), 0, world_.contents[0]),
            KeyringEffect::kNothing);
  EXPECT_EQ(device.member->AcceptKeyring(world_.CommitPlace(1), 0, wrong.bundle.EncodeContent()),
            KeyringEffect::kRefused);
  EXPECT_FALSE(device.member->belongs());
  EXPECT_TRUE(device.member->identity().join.has_value());
  request.add[0].join = device.join.Clone();
  EXPECT_EQ(
      device.member->AcceptKeyring(world_.CommitPlace(1), 0, world_.Next(request).bundle.EncodeContent()),
      KeyringEffect::kEpoch);
  EXPECT_FALSE(device.member->identity().join.has_value()) << "used once";
}

TEST_F(CommitSecretsTest, RefusesImpossibleRequests) {
  const auto code = [&](const CommitRequest& request) { return world_.TryNext(request).status().code(); };
  CommitRequest request;
  request.remove.push_back(world_.owner.id());
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  request.remove[0] = world_.random.NewId<MemberId>();
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  Party& device = world_.Newcomers();
  CommitRequest twice;
  twice.add.push_back(world_.NewcomerOf(device, MemberKind::kDevice, {}));
  twice.add.push_back(world_.NewcomerOf(device, MemberKind::kDevice, {}));
  EXPECT_EQ(code(twice), absl::StatusCode::kInvalidArgument);
  CommitRequest keyless;
  keyless.add.push_back(world_.NewcomerOf(device, MemberKind::kDevice, {}));
  keyless.add[0].join.reset();
  EXPECT_EQ(code(keyless), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(MakeCommit(world_.owner.chain(), world_.Identity(), nullptr, {}, world_.random).ok());
}

TEST_F(CommitSecretsTest, ACommitNobodyWouldTakeIsNotMade) {
  CommitRequest request;
  for (int i = 0; i < 1000; ++i) {
    Newcomer courier;
    courier.entry.member = world_.random.NewId<MemberId>();
    courier.entry.kind = MemberKind::kCourier;
    courier.entry.transport = std::string(400, 'x') + std::to_string(i);
    request.add.push_back(std::move(courier));
  }
  EXPECT_EQ(world_.TryNext(request).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(CommitSecretsTest, GrantsRoundTrip) {
  std::vector<Grant> grants;
  const MemberId member = world_.random.NewId<MemberId>();
  grants.push_back({Topic::Of(TopicKind::kState, member), member, world_.random.Secret(kSecretBytes)});
  grants.push_back(
      {Topic::Of(TopicKind::kCommand, member), std::nullopt, world_.random.Secret(kSecretBytes)});
  const SecretBytes bytes = EncodeGrants(grants);
  const auto read = ParseGrants(bytes);
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].sender, member);
  EXPECT_EQ((*read)[1].sender, std::nullopt);
  EXPECT_TRUE((*read)[1].key.ConstantTimeEquals(grants[1].key));
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(ParseGrants(bytes.Slice(0, size)).ok());
}

}  // namespace
}  // namespace keystead
