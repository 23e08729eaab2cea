// A real backend on loopback, and peers with certificates of certs/.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "backend/backend.h"
#include "core/observe/security_event.h"
#include "core/transport/group_view.h"
#include "keystead/v1/admin.grpc.pb.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/rendezvous.grpc.pb.h"
#include "keystead/v1/transport.grpc.pb.h"
#include "tests/unit/backend/home.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {

// "spiffe://<tenant>/<role>/<id>"
std::string Uri(std::string_view tenant, Role role, std::string_view id);

// An open subscription, read one message at a time.
class OpenSubscription {
 public:
  OpenSubscription(v1::Transport::Stub& stub, const v1::SubscribeRequest& request);
  ~OpenSubscription();
  // The next group, or nothing when the call has ended.
  std::optional<std::string> Next();
  // Waits until the server has let the call in and sent what there was.
  bool CaughtUp();
  std::vector<std::string> TakePending() { return std::exchange(pending_, {}); }  // what CaughtUp has read
  grpc::Status End();  // reads to the end of the call

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> reader_;
  std::vector<std::string> pending_;
};

struct PublishResult {
  grpc::Status status;
  uint64_t durable = 0;
  std::vector<v1::Refusal> refusals;
  // The refusal of the one group, or how the call ended.
  grpc::StatusCode code() const {
    return refusals.empty() ? status.error_code() : static_cast<grpc::StatusCode>(refusals[0].code());
  }
};

// One connection of its own.
class Peer {
 public:
  Peer(int port, const CertificateFiles& files);

  grpc::Status Submit(const Home& home, const std::string& bundle, v1::SubmitCommitResponse* out = nullptr);
  grpc::Status Fetch(const Home& home, uint64_t from, std::vector<std::string>* bundles);
  grpc::Status FetchFrom(std::string_view tenant, const InstantiationId& id);
  PublishResult Publish(const std::string& group);
  std::unique_ptr<OpenSubscription> Subscribe(const Home& home, const std::vector<Topic>& topics);
  grpc::Status Put(const MailboxName& box, const std::string& message);
  grpc::Status Await(const MailboxName& box, uint32_t after, std::vector<std::string>* messages,
                     absl::Duration timeout = absl::Seconds(10));

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::Transport::Stub& transport() { return *transport_; }
  v1::Rendezvous::Stub& rendezvous() { return *rendezvous_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Transport::Stub> transport_;
  std::unique_ptr<v1::Registry::Stub> registry_;
  std::unique_ptr<v1::Rendezvous::Stub> rendezvous_;
};

// A Fetch of which nothing is read but that the answer has begun.
class UnreadFetch {
 public:
  UnreadFetch(int port, const CertificateFiles& files, const Home& home);
  ~UnreadFetch() { Cancel(); }
  void AwaitHeaders();
  void Cancel();

 private:
  Peer peer_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::ByteBuffer request_;
  bool cancelled_ = false;
};

// One record of a stream, sealed or not: the backend cannot tell.
std::string Group(const Home& home, const MemberId& sender, const Topic& topic, uint64_t epoch,
                  const StreamId& stream, uint64_t sequence, std::string_view cose = "sealed");
StreamId NewStream();

// phone (owner), bulb (device), hall (gateway), console (reader of the bulb's telemetry), balancer (courier)
// and stranger (app) of acme; spy (app) of globex.
class BackendTest : public ::testing::Test {
 protected:
  BackendTest();
  ~BackendTest() override;

  void Start();    // on the same data folder
  void Restart();  // stopped and started again
  void StopBackend();
  bool TryStart();  // false: the disk fails
  Peer& As(std::string_view tenant, Role role, std::string_view id);
  Peer& Operator();
  Peer& Phone() { return As(kAcme, Role::kApp, "phone"); }
  Peer& Bulb() { return As(kAcme, Role::kDevice, "bulb"); }
  Peer& Hall() { return As(kAcme, Role::kGateway, "hall"); }
  Peer& Balancer() { return As(kAcme, Role::kGateway, "balancer"); }
  Peer& Console() { return As(kAcme, Role::kThirdParty, "console"); }
  Peer& Stranger() { return As(kAcme, Role::kApp, "stranger"); }
  Peer& Spy() { return As(kGlobex, Role::kApp, "spy"); }

  // Submits and takes the commit; fails the test when it is refused.
  void Commit(Home& home, const std::vector<const Resident*>& add = {},
              const std::vector<MemberId>& remove = {});
  // `home` with bulb, hall and console.
  void Furnish(Home& home);
  size_t Events(SecurityEventKind kind);
  v1::UsageResponse UsageOf(std::string_view tenant);  // as an operator sees it

  Resident bulb_;
  Resident hall_;
  Resident console_;
  backend::BackendOptions options_;
  ManualClock clock_{absl::Now()};
  std::unique_ptr<backend::Backend> backend_;

 private:
  std::map<std::string, std::unique_ptr<Peer>> peers_;
  absl::Mutex mutex_;
  std::map<SecurityEventKind, size_t> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::testing
