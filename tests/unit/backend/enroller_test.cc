// Products that keep their certificates good by themselves, at a real backend over mutual TLS.
#include "core/transport/enroller.h"

#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "core/base/random.h"
#include "core/identity/file_access.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

const MailboxName kBox = RandomSource::System().NewId<MailboxName>();

class EnrollerTest : public BackendTest {
 protected:
  EnrollerTest() {
    deny_list_ = pki_.NewFolder() + "/deny";
    Deny("");
    options_.deny_list = deny_list_;
    options_.enrollment.folder = pki_.folder() + "/tenants";
    options_.enrollment.lifetime = absl::Hours(6);
    Restart();
  }
  void Deny(const std::string& lines) { std::ofstream(deny_list_, std::ios::trunc) << lines; }

  EnrollingIdentity Identity(const std::string& name, std::string_view tenant = kAcme) {
    const std::string folder = pki_.NewFolder();
    EnrollingIdentity out;
    out.factory = pki_.Leaf(tenant, Role::kFactory, name);
    out.operational = {folder + "/chain.pem", folder + "/key.pem", pki_.provider_roots()};
    out.on_certificate = [this](const CertificateInfo& info) { told_.push_back(info); };
    return out;
  }
  std::unique_ptr<Enroller> Make(std::vector<EnrollingIdentity> identities) {
    Enroller::Options options;
    options.next_hop = absl::StrCat("127.0.0.1:", backend_->port());
    options.server = *PeerExpectation::Parse(Uri(kProvider, Role::kService, "backend"));
    options.clock = &device_clock_;
    auto enroller = Enroller::Create(options, std::move(identities));
    EXPECT_TRUE(enroller.ok()) << enroller.status();
    return *std::move(enroller);
  }
  // One look at everything that is due.
  static bool Turn(Enroller& enroller) {
    return enroller.AwaitAll(absl::ZeroDuration(), [] { return false; });
  }
  grpc::StatusCode Use(const CertificateFiles& files) {
    return Peer(backend_->port(), files).Put(kBox, "x").error_code();
  }

  TestPki& pki_ = TestPki::Shared();
  std::string deny_list_;
  ManualClock device_clock_{absl::Now()};
  std::vector<CertificateInfo> told_;
};

TEST_F(EnrollerTest, WhoHasNoCertificateGetsOne) {
  const EnrollingIdentity bulb = Identity("device.b1");
  const auto enroller = Make({bulb, Identity("gateway.g1")});
  EXPECT_EQ(enroller->enrollees()[0].str(), Uri(kAcme, Role::kDevice, "b1"));
  EXPECT_TRUE(Turn(*enroller));
  EXPECT_EQ(enroller->GetStats().installed, 2u);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[1].id.str(), Uri(kAcme, Role::kGateway, "g1"));
  EXPECT_EQ(Use(bulb.operational), grpc::StatusCode::OK);
}

TEST_F(EnrollerTest, AYoungCertificateIsKeptAndAnOldOneRenewedWhileItIsGood) {
  const EnrollingIdentity bulb = Identity("device.b2");
  const auto enroller = Make({bulb});
  ASSERT_TRUE(Turn(*enroller));
  ASSERT_EQ(told_.size(), 1u);
  const absl::Duration life = told_[0].not_after - device_clock_.Now();
  device_clock_.Advance(life * 0.66);
  EXPECT_TRUE(Turn(*enroller));
  EXPECT_EQ(enroller->GetStats().installed, 1u) << "a third of its life is left";
  device_clock_.Advance(life * 0.1);
  EXPECT_TRUE(Turn(*enroller));
  EXPECT_EQ(enroller->GetStats().installed, 2u);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_NE(told_[1].serial, told_[0].serial);
  EXPECT_EQ(Use(bulb.operational), grpc::StatusCode::OK);
}

TEST_F(EnrollerTest, ACertificateThatLapsedWhileItWasAwayIsReplaced) {
  const EnrollingIdentity bulb = Identity("device.b3");
  LeafRequest lapsed = pki_.Request(Uri(kAcme, Role::kDevice, "b3"));
  lapsed.not_before = absl::Now() - absl::Hours(48);
  lapsed.not_after = absl::Now() - absl::Hours(24);
  const IssuedLeaf old = *pki_.EnrollmentIssuer(kAcme).Issue(lapsed);
  WriteAll(bulb.operational.chain, old.chain_pem);
  std::ofstream(bulb.operational.key) << Text(old.key_pem);
  const auto enroller = Make({bulb});
  EXPECT_TRUE(Turn(*enroller));
  EXPECT_EQ(Use(bulb.operational), grpc::StatusCode::OK);
}

TEST_F(EnrollerTest, AFailedRenewalLeavesWhatIsThere) {
  const EnrollingIdentity bulb = Identity("device.b4");
  const auto enroller = Make({bulb});
  ASSERT_TRUE(Turn(*enroller));
  const std::string before = ReadAll(bulb.operational.chain);
  StopBackend();
  device_clock_.Advance(absl::Hours(5));
  EXPECT_TRUE(Turn(*enroller)) << "it is good for another hour";
  EXPECT_EQ(enroller->GetStats().failed, 1u);
  EXPECT_EQ(ReadAll(bulb.operational.chain), before);
  // And it does not knock again before the wait is over.
  Turn(*enroller);
  EXPECT_LE(enroller->GetStats().failed, 2u);
  device_clock_.Advance(absl::Hours(2));
  EXPECT_FALSE(Turn(*enroller)) << "now it has lapsed";
}

TEST_F(EnrollerTest, WhoIsToldThatItAsksTooOftenWaits) {
  options_.enrollment.certificates_of_one = {.per_second = 1.0 / 600, .burst = 1};
  Restart();
  const auto first = Make({Identity("device.b5")});
  ASSERT_TRUE(Turn(*first));
  const auto again = Make({Identity("device.b5")});  // the files were lost
  EXPECT_FALSE(Turn(*again));
  EXPECT_EQ(again->GetStats().failed, 1u);
  device_clock_.Advance(absl::Seconds(599));  // the next certificate is there in 600 s
  EXPECT_FALSE(Turn(*again));
  EXPECT_EQ(again->GetStats().failed, 1u);
  device_clock_.Advance(absl::Seconds(602));  // and they do not all come at that moment
  EXPECT_FALSE(Turn(*again));
  EXPECT_EQ(again->GetStats().failed, 2u);
}

TEST_F(EnrollerTest, AnotherTenantsFactoryIdentityAndADeniedNameGetNothing) {
  Deny(absl::StrCat("tenant ", kAcme, "\nname device/b6\n"));
  backend_->Tick();
  const EnrollingIdentity denied = Identity("device.b6");
  const auto enroller = Make({denied, Identity("device.b7")});
  EXPECT_FALSE(Turn(*enroller));
  EXPECT_EQ(enroller->GetStats().installed, 1u) << "the neighbour's";
  EXPECT_EQ(enroller->GetStats().failed, 1u);
  EXPECT_EQ(ValidateCertificateFiles(denied.operational, absl::Now()).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(EnrollerTest, ACertificateWhoseIssuerWasWithdrawnIsReplacedWithTheFactoryIdentity) {
  const EnrollingIdentity bulb = Identity("device.b8");
  const auto enroller = Make({bulb});
  ASSERT_TRUE(Turn(*enroller));
  const auto serial = told_[0].serial;
  Deny(absl::StrCat("tenant ", kAcme, "\nserial ", serial, "\n"));
  backend_->Tick();
  ASSERT_EQ(Use(bulb.operational), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Turn(*enroller));
  EXPECT_EQ(enroller->GetStats().installed, 1u) << "it cannot know";
  enroller->Suspect(0);
  EXPECT_TRUE(Turn(*enroller));
  EXPECT_EQ(enroller->GetStats().installed, 2u);
  EXPECT_EQ(Use(bulb.operational), grpc::StatusCode::OK);
  // A hop that refuses for other reasons, or lies, does not make it ask all the time.
  enroller->Suspect(0);
  EXPECT_TRUE(Turn(*enroller));
  EXPECT_EQ(enroller->GetStats().installed, 2u);
}

TEST_F(EnrollerTest, WhatCannotWorkIsSaidAtTheStart) {
  Enroller::Options options;
  options.clock = &device_clock_;
  EnrollingIdentity wrong = Identity("device.b9");
  wrong.factory = pki_.Leaf(kAcme, Role::kDevice, "b9");
  EXPECT_EQ(Enroller::Create(options, {wrong}).status().code(), absl::StatusCode::kInvalidArgument);
  EnrollingIdentity other = Identity("device.b9");
  other.operational = pki_.Leaf(kAcme, Role::kDevice, "b10");
  EXPECT_EQ(Enroller::Create(options, {other}).status().code(), absl::StatusCode::kFailedPrecondition);
  EnrollingIdentity missing = Identity("device.b9");
  missing.factory.key = "/none";
  EXPECT_EQ(Enroller::Create(options, {missing}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(EnrollerTest, StopsWhileAHopKeepsItWaiting) {
  const auto enroller = Make({Identity("device.b11")});
  enroller->Start();
  enroller->Stop();
  enroller->Stop();
}

}  // namespace
}  // namespace keystead::testing
