// Revocations at a real backend: what they end, who may bring them, and that they stay.
#include <gmock/gmock.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "core/base/random.h"
#include "core/identity/revocations.h"
#include "keystead/v1/revocation.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

const MailboxName kBox = RandomSource::System().NewId<MailboxName>();

class BackendRevocationTest : public BackendTest {
 protected:
  static std::string Object(uint64_t number, const std::string& text, std::string_view tenant = kAcme) {
    const SecretBytes key = Secret(ReadAll(TestPki::Shared().tenant_folder(tenant) + "/ca.key"));
    return ToString(*SignRevocations({.number = number, .tenant = Tenant(tenant), .text = text}, key));
  }
  static std::unique_ptr<grpc::ClientContext> Soon(absl::Duration limit = absl::Seconds(20)) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + limit));
    return context;
  }
  static grpc::StatusCode Put(Peer& peer, const std::string& object) {
    v1::PutRevocationsRequest request;
    request.set_object(object);
    v1::PutRevocationsResponse response;
    return v1::Revocation::NewStub(peer.channel())->Put(Soon().get(), request, &response).error_code();
  }
  static grpc::Status Fetch(Peer& peer, uint64_t above, std::string& object,
                            absl::Duration limit = absl::Seconds(20)) {
    v1::FetchRevocationsRequest request;
    request.set_above(above);
    v1::FetchRevocationsResponse response;
    const grpc::Status status =
        v1::Revocation::NewStub(peer.channel())->Fetch(Soon(limit).get(), request, &response);
    object = response.object();
    return status;
  }
};

TEST_F(BackendRevocationTest, EveryOpenCallOfTheRevokedEndsAndNoneIsLetIn) {
  grpc::ClientContext publishing;
  const auto stream = Bulb().transport().Publish(&publishing);
  stream->WaitForInitialMetadata();
  grpc::StatusCode waiting = grpc::StatusCode::OK;
  std::thread waiter([&] {
    std::vector<std::string> messages;
    waiting = Bulb().Await(kBox, 0, &messages, absl::Seconds(60)).error_code();
  });
  // A neighbour's stream, and another tenant's device of the same name.
  grpc::ClientContext neighbour_context;
  const auto neighbour = Hall().transport().Publish(&neighbour_context);
  neighbour->WaitForInitialMetadata();
  Peer& twin = As(kGlobex, Role::kDevice, "bulb");
  ASSERT_EQ(twin.Put(kBox, "x").error_code(), grpc::StatusCode::OK);

  ASSERT_EQ(Put(Phone(), Object(1, "name device/bulb")), grpc::StatusCode::OK);
  v1::PublishResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  waiter.join();
  EXPECT_EQ(waiting, grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Bulb().Put(kBox, "x").error_code(), grpc::StatusCode::UNAUTHENTICATED) << "the same connection";
  Peer again(backend_->port(), TestPki::Shared().Leaf(kAcme, Role::kDevice, "bulb"));
  EXPECT_EQ(again.Put(kBox, "x").error_code(), grpc::StatusCode::UNAUTHENTICATED) << "a new one";
  EXPECT_EQ(twin.Put(kBox, "x").error_code(), grpc::StatusCode::OK);
  neighbour->WritesDone();
  EXPECT_TRUE(neighbour->Finish().ok());
}

TEST_F(BackendRevocationTest, NumbersNeverGoBackAlsoAcrossARestart) {
  ASSERT_EQ(Put(Phone(), Object(3, "name device/bulb")), grpc::StatusCode::OK);
  EXPECT_EQ(Put(Phone(), Object(3, "name device/bulb")), grpc::StatusCode::OK);
  Restart();
  EXPECT_EQ(Bulb().Put(kBox, "x").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  const size_t before = Events(SecurityEventKind::kProviderRolledBack) + Events(SecurityEventKind::kConflict);
  EXPECT_EQ(Put(Phone(), Object(2, "")), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Put(Phone(), Object(3, "")), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Events(SecurityEventKind::kProviderRolledBack) + Events(SecurityEventKind::kConflict),
            before + 2);
  EXPECT_EQ(Put(Phone(), Object(4, "")), grpc::StatusCode::OK);
  EXPECT_EQ(Bulb().Put(kBox, "x").error_code(), grpc::StatusCode::OK);
}

TEST_F(BackendRevocationTest, OnlyTheTenantsOwnWordCountsAndOnlyForIt) {
  EXPECT_EQ(Put(Spy(), Object(1, "name device/bulb")), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Put(Phone(), Object(1, "name device/bulb", kGlobex)), grpc::StatusCode::UNAUTHENTICATED);
  std::string changed = Object(1, "name device/bulb");
  changed.back() = static_cast<char>(changed.back() ^ 1);
  EXPECT_EQ(Put(Phone(), changed), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Put(Phone(), "x"), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Put(Phone(), std::string(kMaxRevocationBytes + 1, 'x')), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Bulb().Put(kBox, "x").error_code(), grpc::StatusCode::OK);
  Peer factory(backend_->port(), TestPki::Shared().Leaf(kAcme, Role::kFactory, "device.bulb"));
  EXPECT_EQ(Put(factory, Object(1, "")), grpc::StatusCode::PERMISSION_DENIED);
}

// Who shall be revoked cannot keep its tenant from doing so.
TEST_F(BackendRevocationTest, OnePeerBringsThemSoOftenAndUsesUpNobodyElsesShare) {
  for (int i = 1; i <= 20; ++i) ASSERT_EQ(Put(Bulb(), "junk"), grpc::StatusCode::INVALID_ARGUMENT) << i;
  EXPECT_EQ(Put(Bulb(), "junk"), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Put(Phone(), Object(1, "name device/bulb")), grpc::StatusCode::OK);
  EXPECT_EQ(Put(Bulb(), "junk"), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(BackendRevocationTest, AGatewayFollowsThem) {
  std::string object;
  EXPECT_EQ(Fetch(Hall(), 0, object, absl::Milliseconds(200)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  std::thread follower([&] { EXPECT_TRUE(Fetch(Hall(), 0, object).ok()); });
  const std::string first = Object(1, "name device/bulb");
  ASSERT_EQ(Put(Phone(), first), grpc::StatusCode::OK);
  follower.join();
  EXPECT_EQ(object, first);
  EXPECT_TRUE(Fetch(Hall(), 0, object).ok());
  EXPECT_EQ(Fetch(Hall(), 1, object, absl::Milliseconds(200)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  // Others have no use for them, and another tenant gets its own.
  EXPECT_EQ(Fetch(Phone(), 0, object).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Fetch(As(kGlobex, Role::kGateway, "hall"), 0, object, absl::Milliseconds(200)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  // Who is revoked does not learn what comes next.
  grpc::StatusCode ended = grpc::StatusCode::OK;
  std::thread revoked([&] {
    std::string none;
    ended = Fetch(Hall(), 2, none).error_code();
  });
  ASSERT_EQ(Put(Phone(), Object(2, "name gateway/hall")), grpc::StatusCode::OK);
  revoked.join();
  EXPECT_EQ(ended, grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace keystead::testing
