// Mailboxes over real sockets.
#include <gmock/gmock.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;

class RendezvousTest : public BackendTest {
 protected:
  const MailboxName box_ = RandomSource::System().NewId<MailboxName>();
  std::vector<std::string> messages_;
};

TEST_F(RendezvousTest, AMessageWakesWhoWaits) {
  grpc::ClientContext context;
  v1::AwaitRequest request;
  request.set_box(box_.ToString());
  v1::AwaitResponse response;
  grpc::Status status;
  absl::Notification done;
  Phone().rendezvous().async()->Await(&context, &request, &response, [&](grpc::Status result) {
    status = std::move(result);
    done.Notify();
  });
  ASSERT_TRUE(Bulb().Put(box_, "announcement").ok());
  done.WaitForNotification();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(response.messages(), ElementsAre("announcement"));
}

TEST_F(RendezvousTest, WaitingEndsWithTheCallersDeadline) {
  EXPECT_EQ(Phone().Await(box_, 0, &messages_, absl::Milliseconds(50)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  ASSERT_TRUE(Bulb().Put(box_, "later").ok());
  ASSERT_TRUE(Phone().Await(box_, 0, &messages_).ok());
  EXPECT_THAT(messages_, ElementsAre("later"));
}

TEST_F(RendezvousTest, TenantsDoNotMeet) {
  ASSERT_TRUE(Bulb().Put(box_, "ours").ok());
  EXPECT_EQ(Spy().Await(box_, 0, &messages_, absl::Milliseconds(50)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(RendezvousTest, MalformedAndTooLargeAreRefused) {
  EXPECT_EQ(Bulb().Put(box_, "").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Bulb().Put(box_, std::string(4097, 'x')).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext context;
  v1::PutRequest request;
  request.set_box("short");
  request.set_message("x");
  v1::PutResponse response;
  EXPECT_EQ(Bulb().rendezvous().Put(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(RendezvousTest, StoppingEndsTheWait) {
  grpc::ClientContext context;
  v1::AwaitRequest request;
  request.set_box(box_.ToString());
  v1::AwaitResponse response;
  grpc::Status status;
  absl::Notification done;
  Phone().rendezvous().async()->Await(&context, &request, &response, [&](grpc::Status result) {
    status = std::move(result);
    done.Notify();
  });
  // A second call on the same connection has been answered, so the first one is there.
  ASSERT_TRUE(Phone().Put(RandomSource::System().NewId<MailboxName>(), "x").ok());
  backend_->Stop();
  done.WaitForNotification();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace keystead::testing
