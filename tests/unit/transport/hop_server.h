// A hop for tests: a real store, the shared service, mTLS on loopback; may be stopped and started on the same
// port.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/transport/hop.h"
#include "core/transport/publisher.h"
#include "core/transport/server.h"
#include "core/transport/subscriber.h"
#include "core/transport/transport_service.h"
#include "tests/unit/transport/test_groups.h"

namespace keystead::testing {

inline constexpr uint32_t kTestTenantNumber = 1;

class TestHop : public Hop {
 public:
  explicit TestHop(const PrincipalResolver* resolver) : resolver_(resolver) {}

  absl::StatusOr<std::shared_ptr<const Principal>> Authenticate(
      const grpc::ServerContextBase& context) override;
  absl::Status CheckStillValid(const Principal& principal) override;
  absl::Status Submit(const Principal&, std::unique_ptr<storage::Task> task, const TaskLoad&) override {
    return store->Submit(std::move(task));
  }
  absl::StatusOr<uint32_t> Admit(storage::Transaction&, const Principal&, const GroupView& group) override;
  absl::Status Stored(storage::Transaction&, const Principal&, std::span<const StoredGroup> groups) override;
  absl::StatusOr<uint32_t> AdmitSubscribe(storage::Transaction&, const Principal&,
                                          const SubscribeDemand& demand) override;
  void Committed(const Principal&, std::span<const StoredGroup> groups, const absl::Status& status) override;

  storage::LogStore* store = nullptr;
  std::atomic<int> busy{0};  // Admit answers RESOURCE_EXHAUSTED that many times
  std::atomic<int> hook_failures{0};
  std::atomic<bool> valid{true};
  std::atomic<bool> may_subscribe{true};
  std::atomic<uint64_t> committed_groups{0};
  MemberId refused_sender = NumberedId<MemberId>(666);
  MemberId early_sender = NumberedId<MemberId>(667);  // Admit answers UNAVAILABLE

 private:
  const PrincipalResolver* const resolver_;
};

class HopServer {
 public:
  // `more` are served beside Transport; the rendezvous is open to every role.
  explicit HopServer(const TransportServiceOptions& options = TransportServiceOptions(),
                     std::vector<grpc::Service*> more = {});
  ~HopServer();

  void Start();
  void Stop();  // as a program does it: nothing is lost that was acknowledged
  std::shared_ptr<grpc::Channel> DialAs(Role role) const;  // a connection of its own

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  TestHop& hop() { return hop_; }
  TransportService& service() { return *service_; }
  storage::LogStore& store() { return *store_; }
  RecordLog& log() { return *log_; }
  std::vector<std::pair<uint64_t, std::string>> Records(int device);  // in order of the log

 private:
  const TransportServiceOptions options_;
  const std::vector<grpc::Service*> more_;
  std::string path_;
  int port_ = 0;
  TenantDirectory directory_;
  DenyList deny_list_;
  std::shared_ptr<PrincipalResolver> resolver_;
  TestHop hop_;
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<RecordLog> log_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<TransportService> service_;
  std::unique_ptr<RunningServer> server_;
};

// Remembers what a publisher is told.
class PublishWitness {
 public:
  PublisherCallbacks Callbacks();
  void AwaitDurable(uint64_t ticket);
  void AwaitDisconnects(int count);
  uint64_t durable() const;
  int disconnects() const;
  std::vector<std::pair<uint64_t, GroupRefusal>> refusals() const;

 private:
  mutable absl::Mutex mutex_;
  uint64_t durable_ = 0;
  int disconnects_ = 0;
  std::vector<std::pair<uint64_t, GroupRefusal>> refusals_;
};

// Remembers what a subscriber is told.
class ReadWitness {
 public:
  SubscriberCallbacks Callbacks();
  void AwaitRecords(size_t count);  // of all topics together
  void AwaitCaughtUp(size_t topics);
  void AwaitDisconnects(size_t count);
  std::map<std::string, std::vector<std::pair<uint64_t, std::string>>> records() const;  // by topic
  std::map<std::string, uint64_t> first_kept() const;
  std::vector<absl::Status> disconnects() const;
  size_t count() const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, std::vector<std::pair<uint64_t, std::string>>> records_;
  std::map<std::string, uint64_t> first_kept_;
  std::set<std::string> caught_up_;
  std::vector<absl::Status> disconnects_;
  size_t count_ = 0;
};

// Options that come back soon.
PublisherOptions QuickPublisher();
SubscriberOptions QuickSubscriber();

}  // namespace keystead::testing
