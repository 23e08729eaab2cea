// The newest revocations at a hop: numbers never go back, whatever the next hop shows.
#include "core/transport/revocation_keeper.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/observe/security_event.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using testing::kAcme;
using testing::kGlobex;
using testing::Tenant;
using testing::TestPki;

class RevocationKeeperTest : public ::testing::Test {
 protected:
  RevocationKeeperTest() {
    EXPECT_TRUE(directory_.LoadFolder(pki_.folder() + "/tenants").ok());
    SetSecurityEventObserver([this](const SecurityEvent& event) { events_.push_back(event.kind); });
  }
  ~RevocationKeeperTest() override { SetSecurityEventObserver(nullptr); }

  Bytes Object(uint64_t number, const std::string& text, std::string_view tenant = kAcme) {
    const SecretBytes key = testing::Secret(testing::ReadAll(pki_.tenant_folder(tenant) + "/ca.key"));
    return *SignRevocations({.number = number, .tenant = Tenant(tenant), .text = text}, key);
  }
  absl::StatusOr<uint64_t> Put(ByteView object, const absl::Status& durable = absl::OkStatus()) {
    return keeper_.Put(Tenant(kAcme), object, "hop", [this, durable] {
      ++written_;
      return durable;
    });
  }
  bool Denied(const std::string& id) {
    return list_.DeniesName(testing::Id("spiffe://acme.keystead.example/device/" + id));
  }
  static Principal Peer(std::string_view tenant, const std::string& id) {
    return Principal::ForTesting(*SpiffeId::Of(Tenant(tenant), Role::kGateway, id));
  }

  TestPki& pki_ = TestPki::Shared();
  TenantDirectory directory_;
  DenyList list_;
  int changes_ = 0;
  int written_ = 0;
  std::vector<SecurityEventKind> events_;
  RevocationKeeper keeper_{{&directory_, &list_, [this] { ++changes_; }}};
};

TEST_F(RevocationKeeperTest, ANewerOneCountsAndReplacesTheOlder) {
  EXPECT_EQ(*Put(Object(1, "name device/a")), 1u);
  EXPECT_TRUE(Denied("a"));
  EXPECT_EQ(*Put(Object(5, "name device/b")), 5u);
  EXPECT_FALSE(Denied("a"));
  EXPECT_TRUE(Denied("b"));
  EXPECT_EQ(changes_, 2);
  EXPECT_EQ(keeper_.NumberOf(Tenant(kAcme)), 5u);
  EXPECT_EQ(keeper_.NumberOf(Tenant(kGlobex)), 0u);
}

TEST_F(RevocationKeeperTest, AnOlderOneAndAnotherOfTheSameNumberAreRefusedAndReported) {
  ASSERT_TRUE(Put(Object(2, "name device/a")).ok());
  EXPECT_EQ(Put(Object(1, "")).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Put(Object(2, "")).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(events_, (std::vector{SecurityEventKind::kProviderRolledBack, SecurityEventKind::kConflict}));
  EXPECT_TRUE(Denied("a"));
  EXPECT_EQ(*Put(Object(2, "name device/a")), 2u) << "signed once more is the same";
  EXPECT_EQ(written_, 1);
  EXPECT_EQ(changes_, 1);
}

TEST_F(RevocationKeeperTest, NobodyElsesCounts) {
  EXPECT_EQ(Put(Object(9, "name device/a", kGlobex)).status().code(), absl::StatusCode::kUnauthenticated);
  Bytes changed = Object(9, "name device/a");
  changed.back() ^= 1;
  EXPECT_EQ(Put(changed).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Put(AsBytes("x")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(events_, (std::vector{SecurityEventKind::kSignatureInvalid, SecurityEventKind::kSignatureInvalid,
                                  SecurityEventKind::kMalformed}));
  EXPECT_EQ(keeper_.NumberOf(Tenant(kAcme)) + keeper_.NumberOf(Tenant(kGlobex)), 0u);
  EXPECT_EQ(written_, 0);
}

TEST_F(RevocationKeeperTest, WhatCouldNotBeKeptDoesNotCount) {
  EXPECT_EQ(Put(Object(1, "name device/a"), absl::UnavailableError("disk")).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_FALSE(Denied("a"));
  EXPECT_TRUE(Put(Object(1, "name device/a")).ok());
}

TEST_F(RevocationKeeperTest, WhatWasKeptCountsAlsoWhenItsKeyIsRegisteredNoMore) {
  const Bytes kept = Object(3, "name device/a");
  directory_.Remove(Tenant(kAcme));
  EXPECT_TRUE(keeper_.Restore(kept).ok());
  EXPECT_TRUE(Denied("a"));
  EXPECT_EQ(keeper_.NumberOf(Tenant(kAcme)), 3u);
  EXPECT_FALSE(keeper_.Restore(AsBytes("damaged")).ok());
}

TEST_F(RevocationKeeperTest, OfATenantThatIsForgottenNothingCounts) {
  ASSERT_TRUE(Put(Object(5, "name device/a")).ok());
  list_.DenyName(Tenant(kGlobex), Role::kDevice, "b");
  keeper_.Forget(Tenant(kAcme));
  EXPECT_FALSE(Denied("a"));
  EXPECT_FALSE(list_.Knows(Tenant(kAcme)));
  EXPECT_TRUE(list_.Knows(Tenant(kGlobex)));
  EXPECT_EQ(keeper_.NumberOf(Tenant(kAcme)), 0u);
  EXPECT_TRUE(Put(Object(1, "name device/c")).ok()) << "who comes back under the name begins anew";
  EXPECT_TRUE(Denied("c"));
}

TEST_F(RevocationKeeperTest, WhatTheOperatorDeniesStaysWhenATenantIsForgotten) {
  list_.DenyName(Tenant(kAcme), Role::kDevice, "b");
  ASSERT_TRUE(Put(Object(5, "name device/a")).ok());
  keeper_.Forget(Tenant(kAcme));
  EXPECT_FALSE(Denied("a"));
  EXPECT_TRUE(Denied("b"));
}

TEST_F(RevocationKeeperTest, WhoWaitsIsAnsweredOnceAndOnlyWithHisTenants) {
  std::vector<std::string> answers;
  const auto wait = [&](std::string_view tenant, const std::string& id, uint64_t above) {
    return keeper_.Await(Peer(tenant, id), above, [&answers, id](const absl::StatusOr<std::string>& object) {
      answers.push_back(
          id + (object.ok() ? ":new" : ":" + std::to_string(static_cast<int>(object.status().code()))));
    });
  };
  const uint64_t gone = wait(kAcme, "gone", 0);
  EXPECT_NE(wait(kAcme, "patient", 1), 0u);
  EXPECT_NE(wait(kAcme, "first", 0), 0u);
  EXPECT_NE(wait(kGlobex, "stranger", 0), 0u);
  EXPECT_NE(wait(kAcme, "denied", 9), 0u);
  keeper_.Cancel(gone);
  keeper_.Cancel(gone);
  ASSERT_TRUE(Put(Object(1, "")).ok());
  EXPECT_EQ(answers, (std::vector<std::string>{"gone:1", "first:new"}));
  ASSERT_TRUE(Put(Object(2, "")).ok());
  EXPECT_EQ(answers.back(), "patient:new");
  EXPECT_EQ(wait(kAcme, "late", 1), 0u);
  EXPECT_EQ(answers.back(), "late:new");
  keeper_.EndWaiting([](const Principal& peer) { return peer.name() == "denied"; });
  EXPECT_EQ(answers.back(), "denied:16");
  keeper_.Stop();
  EXPECT_EQ(answers.back(), "stranger:14");
  EXPECT_EQ(wait(kAcme, "too-late", 0), 0u);
  EXPECT_EQ(answers.size(), 7u);
}

}  // namespace
}  // namespace keystead
