// A next hop for tests: the shared service over a real store, a rendezvous in memory, a registry that only
// looks. May go away and come back on the same port, refuse, and be slow.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/transport/executor.h"
#include "core/transport/hop.h"
#include "core/transport/server.h"
#include "core/transport/transport_service.h"
#include "keystead/v1/enrollment.grpc.pb.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/rendezvous.grpc.pb.h"
#include "tests/unit/gateway/household.h"

namespace keystead::testing {

inline constexpr char kNextHopsWords[] = "secret detail of the next hop";

class TestUpstream final : public Hop {
 public:
  TestUpstream();
  ~TestUpstream();

  void Start();
  void Stop();
  void Replace();  // by another next hop at the same address, which has nothing yet
  std::string address() const;
  MailboxAccess Mailboxes();

  // Puts groups into a topic as if other members had published them here.
  void Place(const std::vector<Payload>& groups);
  // What is stored, in order: (sequence, content) of each record.
  using Records = std::vector<std::pair<uint64_t, std::string>>;
  Records In(const InstantiationId& id, const Topic& topic);
  void AwaitRecords(const InstantiationId& id, const Topic& topic, size_t count);

  // While set, every group whose first record has this content is refused with this code.
  void Refuse(const std::string& content, absl::StatusCode code);
  void Accept(const std::string& content);
  int refusals(const std::string& content);
  std::atomic<bool> busy{false};  // publish calls end with RESOURCE_EXHAUSTED
  // While set, calls of Rendezvous, Registry and Enrollment end with ABORTED, and kNextHopsWords stand in
  // every part of the answer that has a place for them.
  std::atomic<bool> tells{false};
  std::atomic<uint64_t> duplicates{0};
  std::atomic<uint64_t> commits{0};   // that the registry was shown
  std::atomic<uint64_t> fetches{0};   // that it was asked for; without bundles it answers NOT_FOUND
  std::atomic<uint64_t> enrolled{0};  // calls of Enrollment, which answers with what it was asked
  void SetBundle(uint64_t epoch, const std::string& bundle);
  std::string last_caller() const;  // of Publish

  absl::StatusOr<std::shared_ptr<const Principal>> Authenticate(
      const grpc::ServerContextBase& context) override;
  absl::Status CheckStillValid(const Principal&) override { return absl::OkStatus(); }
  absl::Status Submit(const Principal& principal, std::unique_ptr<storage::Task> task,
                      const TaskLoad& load) override;
  absl::StatusOr<uint32_t> Admit(storage::Transaction&, const Principal&, const GroupView& group) override;
  absl::Status Stored(storage::Transaction&, const Principal&, std::span<const StoredGroup> groups) override;
  absl::StatusOr<uint32_t> AdmitSubscribe(storage::Transaction&, const Principal&,
                                          const SubscribeDemand&) override {
    return 1;
  }
  void Committed(const Principal&, std::span<const StoredGroup> groups, const absl::Status& status) override;

 private:
  class Rendezvous;
  class Registry;
  class Enrollment;
  bool Has(const InstantiationId& id, const Topic& topic, size_t count);

  std::string path_;
  int port_ = 0;
  TenantDirectory directory_;
  DenyList deny_list_;
  std::shared_ptr<PrincipalResolver> resolver_;
  std::unique_ptr<Rendezvous> rendezvous_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Enrollment> enrollment_;
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<RecordLog> log_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<TransportService> service_;
  std::unique_ptr<RunningServer> server_;

  mutable absl::Mutex mutex_;
  std::map<std::string, absl::StatusCode> refuse_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> refused_ ABSL_GUARDED_BY(mutex_);
  std::string last_caller_ ABSL_GUARDED_BY(mutex_);
  uint64_t commits_done_ ABSL_GUARDED_BY(mutex_) = 0;  // of tasks: something may have come
};

}  // namespace keystead::testing
