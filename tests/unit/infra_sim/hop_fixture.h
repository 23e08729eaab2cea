// A balancer between real clients and a fake next hop, on loopback with real certificates.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/transport/server.h"
#include "infra-sim/balancer.h"
#include "keystead/v1/enrollment.grpc.pb.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/rendezvous.grpc.pb.h"
#include "keystead/v1/transport.grpc.pb.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::infra {

// What the next hop got, and what it shall answer. Thread-safe.
class NextHop {
 public:
  struct Got {
    std::string caller;  // SPIFFE id
    uint64_t request = 0;
    std::string group;
  };
  void Take(const std::string& caller, uint64_t request, const v1::PublishRequest& groups);
  std::vector<Got> groups() const;
  std::vector<Got> WaitForGroups(size_t count) const;  // ends the test's wait after ten seconds
  std::optional<v1::Refusal> Refuse(uint64_t request, uint32_t index, const std::string& group) const;

  void set_refuse(std::function<bool(const std::string& group)> refuse) { refuse_ = std::move(refuse); }
  std::vector<v1::SubscribeResponse> script;  // of Subscribe; then it waits for the caller to cancel
  v1::SubscribeRequest subscribed;            // the latest
  std::vector<std::string> bundles;           // of Fetch
  std::vector<std::string> submitted() const;
  void Submitted(const std::string& bundle);

 private:
  mutable absl::Mutex mutex_;
  std::vector<Got> got_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> submitted_ ABSL_GUARDED_BY(mutex_);
  std::function<bool(const std::string&)> refuse_;
};

class HopTest : public ::testing::Test {
 protected:
  HopTest();
  ~HopTest() override;

  // A balancer for acme, and for globex too unless left out.
  void StartBalancer(bool with_globex = true);
  std::shared_ptr<grpc::Channel> Client(const char* tenant = testing::kAcme, Role role = Role::kDevice);
  uint64_t Arm(v1::ArmRequest attack) {
    const auto number = engine_.Arm(attack);
    EXPECT_TRUE(number.ok()) << number.status();
    return number.value_or(0);
  }
  BalancerOptions Options(bool with_globex) const;

  testing::TestPki& pki_ = testing::TestPki::Shared();
  TenantDirectory tenants_;
  DenyList deny_list_;
  PrincipalResolver resolver_{&tenants_, &deny_list_};
  AttackEngine engine_{EngineOptions{}};
  Timer timer_;
  NextHop next_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::optional<RunningServer> next_server_;
  std::unique_ptr<Balancer> balancer_;
};

// One open Publish call of a client.
class Publishing {
 public:
  explicit Publishing(const std::shared_ptr<grpc::Channel>& channel);
  ~Publishing() { context_.TryCancel(); }
  bool Send(const std::vector<std::string>& groups);
  // Reads until `durable` is acknowledged; what has come until then, merged. Nothing when the call ended.
  std::optional<v1::PublishResponse> WaitForAck(uint64_t durable);
  bool Read(v1::PublishResponse& response) { return stream_->Read(&response); }
  void Done() { stream_->WritesDone(); }
  grpc::Status Finish() { return stream_->Finish(); }
  grpc::ClientContext& context() { return context_; }

 private:
  const std::unique_ptr<v1::Transport::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PublishRequest, v1::PublishResponse>> stream_;
};

}  // namespace keystead::infra
