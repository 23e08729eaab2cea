#include "core/sealing/joining.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/crypto/hash.h"
#include "core/membership/acceptance.h"
#include "core/membership/signed_object.h"
#include "tests/unit/membership/test_members.h"

namespace keystead {
namespace {

using State = JoinResponder::State;
constexpr auto kLater = absl::StatusCode::kFailedPrecondition;

class JoiningTest : public testing::Test {
 protected:
  JoiningTest() : ik_(crypto::EcdsaKeyPair::Generate(random_).value()), code_(random_.Secret(32)) {
    boot_ = random_.NewId<BootId>();
    device_ = std::make_unique<JoinResponder>(Identity(), random_);
    newcomer_ = random_.NewId<MemberId>();
  }
  JoinResponder::Identity Identity() {
    return {tenant_, "bulb-1", "lightbulb", "spiffe://acme.keystead.example/device/bulb-1", &ik_, &code_};
  }
  membership::Label Label() { return {tenant_, "bulb-1", cose::Ckt(ik_.public_key()), code_.Clone()}; }
  static JoinInitiator::Owner OwnerOf(const TestOwner& owner) {
    return {owner.tenant, owner.id, owner.self.id, &owner.self.ik, owner.self.k.public_key()};
  }
  void Arm() { ASSERT_TRUE(device_->Arm(boot_, absl::Seconds(5)).ok()); }
  JoinInitiator Begin(const TestOwner& owner) {
    return JoinInitiator::Start(Label(), device_->announcement(), OwnerOf(owner), newcomer_, 1, random_)
        .value();
  }
  absl::StatusOr<Bytes> Handle(const Bytes& m1, absl::Duration uptime = absl::Seconds(6)) {
    return device_->HandleM1(m1, boot_, uptime);
  }
  void Restart() {
    const SecretBytes stored = device_->Serialize();
    auto next = std::make_unique<JoinResponder>(Identity(), random_);
    ASSERT_TRUE(next->Restore(stored).ok());
    EXPECT_TRUE(next->Serialize().ConstantTimeEquals(stored));
    device_ = std::move(next);
  }

  const TenantName tenant_ = TenantName::Parse("acme.keystead.example").value();
  SeededRandom random_{11};
  crypto::EcdsaKeyPair ik_;
  SecretBytes code_;
  BootId boot_;
  MemberId newcomer_;
  TestOwner owner_{21};
  TestOwner rival_{22};
  std::unique_ptr<JoinResponder> device_;
};

TEST_F(JoiningTest, BothSidesAgree) {
  EXPECT_EQ(device_->state(), State::kUnowned);
  Arm();
  EXPECT_EQ(device_->state(), State::kArmed);
  const JoinInitiator app = Begin(owner_);
  EXPECT_EQ(app.m1_box(), device_->m1_box().value());
  EXPECT_EQ(app.m2_box(), device_->m2_box().value());
  EXPECT_NE(app.m1_box(), app.m2_box());
  EXPECT_LE(app.m1().size(), limits::kMailboxBytes);
  const Bytes m2 = Handle(app.m1()).value();
  EXPECT_LE(m2.size(), limits::kMailboxBytes);
  EXPECT_EQ(device_->state(), State::kOffered);
  const auto joined = app.Finish(m2);
  ASSERT_TRUE(joined.ok()) << joined.status();
  const JoinResponder::Offer& offer = *device_->offer();
  EXPECT_TRUE(joined->join.secret().ConstantTimeEquals(offer.join.secret()));
  EXPECT_EQ(joined->join.secret().size(), 32u);
  EXPECT_EQ(joined->member, newcomer_);
  EXPECT_EQ(offer.self, newcomer_);
  EXPECT_EQ(offer.owner, owner_.self.id);
  EXPECT_EQ(offer.id, owner_.id);
  EXPECT_EQ(offer.owner_ik, owner_.self.ik.public_key());
  EXPECT_EQ(joined->k, offer.k.public_key());
  EXPECT_EQ(joined->ik, ik_.public_key());
  EXPECT_EQ(joined->kind, "lightbulb");
  EXPECT_EQ(joined->transport, Identity().transport);
  EXPECT_EQ(joined->boot, boot_);
  EXPECT_EQ(joined->uptime, absl::Seconds(6));
  const Acceptance acceptance = VerifyAcceptance(joined->acceptance, ik_.public_key()).value();
  EXPECT_EQ(acceptance.owner_ckt, owner_.ckt());
  EXPECT_EQ(acceptance.id, owner_.id);
  EXPECT_EQ(acceptance.m1_hash, crypto::Sha256(app.m1()));
  ASSERT_TRUE(device_->BecomeOwned().ok());
  EXPECT_EQ(device_->state(), State::kOwned);
  EXPECT_FALSE(device_->offer().has_value()) << "the join secret is wiped";
  EXPECT_EQ(Handle(app.m1()).status().code(), kLater) << "an owned device refuses";
  EXPECT_EQ(device_->Arm(boot_, absl::Seconds(9)).code(), kLater);
}

TEST_F(JoiningTest, NothingSecretTravelsInTheClear) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  const Bytes m2 = Handle(app.m1()).value();
  const auto shows = [](const Bytes& where, ByteView what) {
    return std::ranges::search(where, what).begin() != where.end();
  };
  for (const Bytes* message : {&app.m1(), &m2, &device_->announcement()}) {
    EXPECT_FALSE(shows(*message, code_.ExposeSecret()));
    EXPECT_FALSE(shows(*message, owner_.id.view()));
    EXPECT_FALSE(shows(*message, newcomer_.view()));
  }
}

TEST_F(JoiningTest, TheSameM1GetsTheSameM2AlsoAfterARestart) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  const Bytes m2 = Handle(app.m1()).value();
  EXPECT_EQ(Handle(app.m1()).value(), m2);
  Restart();
  EXPECT_EQ(Handle(app.m1()).value(), m2);
  EXPECT_EQ(device_->HandleM1(app.m1(), random_.NewId<BootId>(), absl::Seconds(1)).value(), m2)
      << "another boot";
  EXPECT_TRUE(app.Finish(m2).value().join.secret().ConstantTimeEquals(device_->offer()->join.secret()));
}

TEST_F(JoiningTest, ASecondM1OfTheSameOwnerReplacesTheFirst) {
  Arm();
  const JoinInitiator lost = Begin(owner_);
  const Bytes old = Handle(lost.m1()).value();
  const JoinInitiator app = Begin(owner_);
  const Bytes m2 = Handle(app.m1()).value();
  EXPECT_NE(old, m2);
  EXPECT_FALSE(app.Finish(old).ok()) << "M2 for another M1";
  EXPECT_TRUE(app.Finish(m2).ok());
}

TEST_F(JoiningTest, TwoOwnersAreContestedAndBothRefused) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  const JoinInitiator other = Begin(rival_);
  ASSERT_TRUE(Handle(app.m1()).ok());
  EXPECT_EQ(Handle(other.m1()).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(device_->state(), State::kUnowned);
  EXPECT_FALSE(device_->offer().has_value());
  EXPECT_EQ(Handle(app.m1()).status().code(), kLater) << "the first is refused as well";
  EXPECT_EQ(Handle(other.m1()).status().code(), kLater);
  EXPECT_FALSE(device_->BecomeOwned().ok());
}

TEST_F(JoiningTest, WithoutTheCodeNothingWorks) {
  Arm();
  membership::Label guess = Label();
  guess.setup_code = random_.Secret(32);
  const JoinInitiator app =
      JoinInitiator::Start(guess, device_->announcement(), OwnerOf(owner_), newcomer_, 1, random_).value();
  EXPECT_NE(app.m1_box(), device_->m1_box().value()) << "and does not find the box";
  EXPECT_EQ(Handle(app.m1()).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(device_->state(), State::kArmed);
}

TEST_F(JoiningTest, TriesAreCounted) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  Bytes bad = app.m1();
  bad.back() ^= 1;
  EXPECT_EQ(Handle(Bytes(limits::kMailboxBytes + 1, 0)).status().code(), absl::StatusCode::kInvalidArgument);
  for (size_t i = 1; i < limits::kMailboxTries; ++i)
    EXPECT_EQ(Handle(bad).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Handle(app.m1()).status().code(), absl::StatusCode::kResourceExhausted);
  Arm();
  EXPECT_TRUE(Handle(Begin(owner_).m1()).ok()) << "a new local act, new tries";
}

TEST_F(JoiningTest, AnnouncementMustBeTheLabelsDevice) {
  Arm();
  const auto check = [&](const Bytes& object, const membership::Label& label) {
    return VerifyAnnouncement(object, label).status().code();
  };
  EXPECT_EQ(check(device_->announcement(), Label()), absl::StatusCode::kOk);
  const auto other_ik = crypto::EcdsaKeyPair::Generate(random_).value();
  JoinResponder::Identity identity = Identity();
  identity.ik = &other_ik;
  JoinResponder impostor(identity, random_);
  ASSERT_TRUE(impostor.Arm(boot_, absl::Seconds(1)).ok());
  EXPECT_EQ(check(impostor.announcement(), Label()), absl::StatusCode::kUnauthenticated);
  identity = Identity();
  identity.device_id = "bulb-2";
  JoinResponder sibling(identity, random_);
  ASSERT_TRUE(sibling.Arm(boot_, absl::Seconds(1)).ok());
  EXPECT_EQ(check(sibling.announcement(), Label()), absl::StatusCode::kUnauthenticated);
  for (size_t i = 0; i < device_->announcement().size(); ++i) {
    Bytes bad = device_->announcement();
    bad[i] ^= 1;
    EXPECT_NE(check(bad, Label()), absl::StatusCode::kOk) << i;
  }
  // Of the device, but for a profile this app does not speak.
  cose::CborWriter w;
  w.Array(6).Text("bulb-1");
  cose::EncodeOne(w, ik_.public_key());
  cose::EncodeOne(w, crypto::EcdhKeyPair::Generate(random_).value().public_key());
  w.Uint(0).Bstr(ArmId().view()).Array(1).Text("ks9");
  EXPECT_EQ(check(SignObject(ik_, kinds::kAnnouncement, SignedPlace{}, w.bytes()).value(), Label()),
            absl::StatusCode::kUnimplemented);
}

TEST_F(JoiningTest, AnM1IsForOneArmingOnly) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  Arm();
  EXPECT_EQ(Handle(app.m1()).status().code(), absl::StatusCode::kDataLoss)
      << "another K_D, another announcement";
}

TEST_F(JoiningTest, ArmingEndsWithTimeAndWithTheBoot) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  EXPECT_EQ(Handle(app.m1(), absl::Seconds(5) + kArmedFor + absl::Milliseconds(1)).status().code(), kLater);
  EXPECT_EQ(device_->state(), State::kUnowned);
  EXPECT_TRUE(device_->announcement().empty());
  Arm();
  const JoinInitiator again = Begin(owner_);
  EXPECT_EQ(device_->HandleM1(again.m1(), random_.NewId<BootId>(), absl::Seconds(6)).status().code(), kLater);
  EXPECT_EQ(device_->state(), State::kUnowned);
}

TEST_F(JoiningTest, AnOfferEndsAfterADay) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  ASSERT_TRUE(Handle(app.m1()).ok());
  const absl::Duration last = absl::Seconds(6) + kOfferedFor;
  EXPECT_TRUE(Handle(app.m1(), last).ok());
  EXPECT_TRUE(device_->OfferStands(boot_, last));
  EXPECT_FALSE(device_->DropOldOffer(boot_, last));
  EXPECT_FALSE(device_->OfferStands(boot_, last + absl::Milliseconds(1)));
  EXPECT_FALSE(device_->OfferStands(BootId(), kOfferedFor + absl::Milliseconds(1))) << "nor in another boot";
  EXPECT_EQ(Handle(app.m1(), absl::Seconds(6) + kOfferedFor + absl::Milliseconds(1)).status().code(), kLater);
  EXPECT_FALSE(device_->offer().has_value());
}

TEST_F(JoiningTest, AfterTheWindowNobodyElseCanDisturbAnOffer) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  const JoinInitiator late = Begin(rival_);
  const Bytes m2 = Handle(app.m1()).value();
  EXPECT_EQ(Handle(late.m1(), absl::Minutes(11)).status().code(), kLater);
  EXPECT_EQ(device_->state(), State::kOffered);
  EXPECT_EQ(Handle(app.m1(), absl::Minutes(11)).value(), m2);
}

TEST_F(JoiningTest, ResetMakesOldMessagesWorthless) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  const MailboxName box = device_->m1_box().value();
  ASSERT_TRUE(Handle(app.m1()).ok());
  device_->Reset();
  EXPECT_EQ(device_->reset_counter(), 1u);
  EXPECT_EQ(device_->state(), State::kUnowned);
  EXPECT_NE(device_->m1_box().value(), box);
  EXPECT_EQ(Handle(app.m1()).status().code(), kLater);
  Arm();
  EXPECT_EQ(Handle(app.m1()).status().code(), absl::StatusCode::kDataLoss);
  const JoinInitiator second = Begin(owner_);
  const auto joined = second.Finish(Handle(second.m1()).value());
  EXPECT_EQ(VerifyAcceptance(joined.value().acceptance, ik_.public_key())->reset_counter, 1u);
}

TEST_F(JoiningTest, EveryStateSurvivesARestart) {
  Restart();
  EXPECT_EQ(device_->state(), State::kUnowned);
  Arm();
  Restart();
  EXPECT_EQ(device_->state(), State::kArmed);
  const JoinInitiator app = Begin(owner_);
  const Bytes m2 = Handle(app.m1()).value();
  Restart();
  EXPECT_EQ(device_->state(), State::kOffered);
  EXPECT_TRUE(app.Finish(m2).value().join.secret().ConstantTimeEquals(device_->offer()->join.secret()));
  ASSERT_TRUE(device_->BecomeOwned().ok());
  Restart();
  EXPECT_EQ(device_->state(), State::kOwned);
  device_->Reset();
  Restart();
  EXPECT_EQ(device_->reset_counter(), 1u);
  const SecretBytes stored = device_->Serialize();
  for (size_t size = 0; size < stored.size(); ++size) {
    JoinResponder other(Identity(), random_);
    EXPECT_FALSE(other.Restore(stored.Slice(0, size)).ok());
  }
}

TEST_F(JoiningTest, MessagesAreBoundToTheirBytes) {
  Arm();
  const JoinInitiator app = Begin(owner_);
  const Bytes m2 = Handle(app.m1()).value();
  for (size_t i = 0; i < m2.size(); i += 3) {
    Bytes bad = m2;
    bad[i] ^= 1;
    EXPECT_FALSE(app.Finish(bad).ok()) << i;
  }
  const JoinInitiator other = Begin(owner_);
  EXPECT_FALSE(other.Finish(m2).ok());
  JoinResponder fresh(Identity(), random_);
  for (size_t i = 0; i < app.m1().size(); i += 40) {
    ASSERT_TRUE(fresh.Restore(device_->Serialize()).ok());
    Bytes bad = app.m1();
    bad[i] ^= 1;
    EXPECT_FALSE(fresh.HandleM1(bad, boot_, absl::Seconds(6)).ok()) << i;
  }
}

TEST_F(JoiningTest, AnotherManufacturersOwnerIsRefused) {
  Arm();
  JoinInitiator::Owner owner = OwnerOf(owner_);
  owner.tenant = TenantName::Parse("other.keystead.example").value();
  EXPECT_FALSE(JoinInitiator::Start(Label(), device_->announcement(), owner, newcomer_, 1, random_).ok());
  membership::Label label = Label();
  label.tenant = owner.tenant;
  const JoinInitiator app =
      JoinInitiator::Start(label, device_->announcement(), owner, newcomer_, 1, random_).value();
  EXPECT_FALSE(Handle(app.m1()).ok());
}

}  // namespace
}  // namespace keystead
