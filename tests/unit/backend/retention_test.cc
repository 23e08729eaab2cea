// What tenants may keep, by age and by bytes.
#include <gmock/gmock.h>

#include "keystead/v1/admin.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

constexpr uint64_t kGroups = 64;  // between the checkpoints of a topic

class RetentionTest : public BackendTest {
 protected:
  RetentionTest() {
    options_.retention_interval = absl::ZeroDuration();
    Restart();
    Furnish(home_);
  }
  void Publish(uint64_t first, const Topic& topic) {
    for (uint64_t sequence = first; sequence < first + kGroups; ++sequence) {
      ASSERT_TRUE(Bulb().Publish(Group(home_, bulb_.entry.member, topic, 1, stream_, sequence)).status.ok());
    }
  }
  uint64_t GroupBytes(const Topic& topic, uint64_t sequence) const {
    return Group(home_, bulb_.entry.member, topic, 1, stream_, sequence).size();
  }
  void Limit(uint64_t seconds, uint64_t bytes) {
    v1::TenantAdmin::Stub stub(Operator().channel());
    grpc::ClientContext context;
    v1::SetLimitsRequest request;
    request.set_tenant(kAcme);
    request.mutable_limits()->set_retention_seconds(seconds);
    request.mutable_limits()->set_retention_bytes(bytes);
    v1::SetLimitsResponse response;
    ASSERT_TRUE(stub.SetLimits(&context, request, &response).ok());
  }
  // The pass that a tick has begun is over when so much is stored; it never comes to be otherwise.
  void AwaitGroups(uint64_t groups) {
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (UsageOf(kAcme).stored_groups() != groups && absl::Now() < until)
      absl::SleepFor(absl::Milliseconds(10));
    ASSERT_EQ(UsageOf(kAcme).stored_groups(), groups);
  }
  std::string First(const Topic& topic) { return Phone().Subscribe(home_, {topic})->Next().value_or(""); }

  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  const StreamId stream_ = NewStream();
  const Topic telemetry_ = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
  const Topic state_ = Topic::Of(TopicKind::kState, bulb_.entry.member);
};

TEST_F(RetentionTest, OldRecordsGoAndCommitsStay) {
  const uint64_t commits = UsageOf(kAcme).stored_groups();
  const uint64_t commit_bytes = UsageOf(kAcme).stored_bytes();
  Publish(0, telemetry_);
  clock_.Advance(absl::Hours(2));
  Publish(kGroups, telemetry_);
  Limit(3600, 0);
  AwaitGroups(commits + kGroups);
  uint64_t bytes = commit_bytes;
  for (uint64_t i = kGroups; i < 2 * kGroups; ++i) bytes += GroupBytes(telemetry_, i);
  EXPECT_EQ(UsageOf(kAcme).stored_bytes(), bytes);
  EXPECT_EQ(First(telemetry_), Group(home_, bulb_.entry.member, telemetry_, 1, stream_, kGroups));
  EXPECT_TRUE(Phone().FetchFrom(kAcme, home_.id()).ok());
  EXPECT_FALSE(First(Topic::Keyring()).empty());
  clock_.Advance(absl::Hours(24 * 365));
  AwaitGroups(commits);
  EXPECT_EQ(UsageOf(kAcme).stored_bytes(), commit_bytes);
  EXPECT_FALSE(First(Topic::Keyring()).empty());
}

TEST_F(RetentionTest, OfTooManyBytesTheOldestGoWhateverTheirTopic) {
  const uint64_t commits = UsageOf(kAcme).stored_groups();
  Publish(0, telemetry_);
  clock_.Advance(absl::Minutes(1));
  Publish(0, state_);
  clock_.Advance(absl::Minutes(1));
  Publish(kGroups, telemetry_);
  const uint64_t all = UsageOf(kAcme).stored_bytes();
  Limit(0, all - 1);
  AwaitGroups(commits + 2 * kGroups);
  EXPECT_EQ(First(telemetry_), Group(home_, bulb_.entry.member, telemetry_, 1, stream_, kGroups));
  EXPECT_EQ(First(state_), Group(home_, bulb_.entry.member, state_, 1, stream_, 0));
  Limit(0, UsageOf(kAcme).stored_bytes() - 1);
  AwaitGroups(commits + kGroups);
  EXPECT_EQ(First(telemetry_), Group(home_, bulb_.entry.member, telemetry_, 1, stream_, kGroups));
}

}  // namespace
}  // namespace keystead::testing
