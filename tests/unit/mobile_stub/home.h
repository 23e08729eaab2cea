// A home for tests: one hop with its registry and rendezvous on loopback, the owner's app, and devices.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/rendezvous.grpc.pb.h"
#include "mobile-stub/engine.h"
#include "mobile-stub/pairing.h"
#include "mobile-stub/watch_session.h"
#include "tests/unit/mobile_stub/home_hop.h"
#include "tests/unit/mobile_stub/test_device.h"

namespace keystead::mobile::testing {

inline constexpr absl::Duration kPatience = absl::Seconds(20);

template <class T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    ADD_FAILURE() << value.status();
    std::abort();
  }
  return *std::move(value);
}

// Mailboxes that never expire.
class TestRendezvous final : public v1::Rendezvous::Service {
 public:
  grpc::Status Put(grpc::ServerContext* context, const v1::PutRequest* request, v1::PutResponse*) override;
  grpc::Status Await(grpc::ServerContext* context, const v1::AwaitRequest* request,
                     v1::AwaitResponse* response) override;
  void PutForged(const MailboxName& box, const std::string& message);
  std::atomic<bool> answers_at_once{false};  // also when there is nothing
  std::atomic<uint64_t> awaits{0};
  std::atomic<int> refuses{0};       // the next so many calls, with RESOURCE_EXHAUSTED
  std::atomic<bool> full{false};     // Put
  std::atomic<int> wait_seconds{0};  // what refusals ask for; 0: nothing
  std::atomic<int> without_wait{0};  // of refusals, that ask for nothing all the same: the next so many
  std::atomic<int> puts{0};

 private:
  grpc::Status Refused() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Refuses() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Mutex mutex_;
  std::map<std::string, std::vector<std::string>> boxes_ ABSL_GUARDED_BY(mutex_);
};

// Verifies and keeps the chain of one instantiation, and publishes its commits in keyring.
class TestRegistry final : public v1::Registry::Service {
 public:
  grpc::Status Submit(grpc::ServerContext* context, const v1::SubmitCommitRequest* request,
                      v1::SubmitCommitResponse* response) override;
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchCommitsRequest* request,
                     v1::FetchCommitsResponse* response) override;
  void PublishThrough(std::shared_ptr<grpc::Channel> channel);
  void Stop() { publisher_.reset(); }

  // What a hop on the way may do to one call of Submit: store what it was handed or not, and answer what it
  // likes.
  struct Lie {
    bool store = false;
    grpc::StatusCode answer = grpc::StatusCode::OK;
    bool echo = false;  // Fetch shows it all the same
  };
  void Lies(int times, const Lie& lie);           // the next so many calls
  void BeHonest();                                // from now on, and echoes nothing
  void ForgetFrom(uint64_t epoch);                // put back to an earlier state
  std::atomic<bool> shows_nothing{false};         // Fetch
  std::atomic<uint64_t> shows_below{UINT64_MAX};  // Fetch, no later epochs
  std::atomic<bool> shows_junk{false};            // Fetch, behind what there is
  std::atomic<uint64_t> commits{0};               // stored
  std::atomic<uint64_t> submits{0};               // calls

 private:
  grpc::Status Store(const v1::SubmitCommitRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::deque<Lie> lies_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> echoes_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<MembershipChain> chain_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> bundles_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Publisher> publisher_;
};

class Home {
 public:
  Home();
  ~Home();

  std::shared_ptr<grpc::Channel> Dial(Role role) const { return hop_->Dial(role); }
  // A process of the owner's app: several may stand on the one folder.
  std::unique_ptr<Engine> App() const;
  std::unique_ptr<TestDevice> NewDevice(const std::string& id, const std::string& kind = "thermometer");
  // Pairs the devices and waits until each has opened its streams.
  PairOutcome Pair(const std::vector<TestDevice*>& devices);
  static RecoverySink IgnoreRecovery() {
    return [](const SecretBytes&) { return absl::OkStatus(); };
  }

  TestRegistry& registry() { return registry_; }
  TestRendezvous& rendezvous() { return rendezvous_; }
  HomeHop& hop() { return *hop_; }
  const std::string& state_folder() const { return state_folder_; }
  // Puts a group into the log as a hostile hop could: nobody asked a roster.
  void Inject(Payload group);

 private:
  std::string folder_;
  std::string state_folder_;
  TestRegistry registry_;
  TestRendezvous rendezvous_;
  std::unique_ptr<HomeHop> hop_;
};

// Remembers what a session said.
class Witness final : public WatchObserver {
 public:
  struct Seen {
    MemberId sender;
    uint64_t sequence = 0;
    double value = 0;
    bool confirmed = false;
  };
  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnDuplicate(const StreamPlace& place, uint64_t sequence) override;
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override;
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override;
  void OnAlarm(const SecurityEvent& event) override;
  void OnMembership(const MembershipChain& chain) override;
  void OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) override;

  std::pair<uint64_t, std::vector<MemberId>> waiting() const;  // as told last
  std::vector<Seen> readings() const;
  std::vector<SecurityEvent> alarms() const;
  std::vector<std::pair<StreamPlace, uint64_t>> duplicates() const;
  std::vector<std::pair<StreamPlace, SequenceRange>> missing() const;
  uint64_t confirmed() const;
  uint64_t epoch() const;
  // Fails the test when it does not come true in time.
  void Await(const std::function<bool(const Witness&)>& condition, const char* what);

 private:
  mutable absl::Mutex mutex_;
  mutable absl::CondVar changed_;
  std::vector<Seen> readings_ ABSL_GUARDED_BY(mutex_);
  std::vector<SecurityEvent> alarms_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<StreamPlace, uint64_t>> duplicates_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<StreamPlace, SequenceRange>> missing_ ABSL_GUARDED_BY(mutex_);
  uint64_t confirmed_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  std::pair<uint64_t, std::vector<MemberId>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::mobile::testing
