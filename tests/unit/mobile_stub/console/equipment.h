// Equipment that may be told to attack, as far as the console meets it.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "core/transport/tls_credentials.h"
#include "keystead/v1/infra.grpc.pb.h"
#include "mobile-stub/console/remote.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::console::testing {

// Says what it is told to say, or nothing until it is let go.
class Equipment final : public v1::InfraControl::Service {
 public:
  Equipment() {
    grpc::ServerBuilder builder;
    const ServerCredentialsFactory credentials =
        *MakeServerCredentials({.files = keystead::testing::TestPki::Shared().Backend()});
    builder.AddListeningPort("127.0.0.1:0", credentials([] {}), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Equipment() override {
    if (!go_on.HasBeenNotified()) go_on.Notify();
    server_->Shutdown();
  }
  RemoteOptions Remote(const std::string& name) const {
    RemoteOptions remote;
    remote.name = name;
    remote.address = absl::StrCat("127.0.0.1:", port_);
    remote.server = "spiffe://provider-one.example/service/backend";
    remote.files =
        keystead::testing::TestPki::Shared().Leaf(keystead::testing::kAcme, Role::kAdmin, "watcher");
    return remote;
  }

  grpc::Status Arm(grpc::ServerContext*, const v1::ArmRequest* request, v1::ArmResponse* response) override {
    {
      absl::MutexLock lock(&mutex_);
      armed_.push_back(*request);
    }
    response->set_attack(next_attack++);
    return grpc::Status::OK;
  }
  grpc::Status Disarm(grpc::ServerContext* context, const v1::DisarmRequest*, v1::DisarmResponse*) override {
    if (silent_to_disarm) KeepSilent(*context);
    ++disarmed;
    if (on_disarm) on_disarm();
    return grpc::Status::OK;
  }
  grpc::Status Injections(grpc::ServerContext*, const v1::InjectionsRequest*,
                          v1::InjectionsResponse* response) override {
    *response = injections;
    return grpc::Status::OK;
  }
  grpc::Status Listeners(grpc::ServerContext* context, const v1::ListenersRequest*,
                         v1::ListenersResponse* response) override {
    if (!asked.HasBeenNotified()) asked.Notify();
    if (silent) KeepSilent(*context);
    *response = listeners;
    return grpc::Status::OK;
  }

  std::vector<v1::ArmRequest> armed() const {
    absl::MutexLock lock(&mutex_);
    return armed_;
  }

  std::atomic<bool> silent = false;  // when it is asked for its listeners
  std::atomic<bool> silent_to_disarm = false;
  std::function<void()> on_disarm;
  absl::Notification asked;  // for its listeners, once at least
  absl::Notification go_on;
  std::atomic<uint64_t> next_attack = 1;
  std::atomic<int> disarmed = 0;
  v1::InjectionsResponse injections;
  v1::ListenersResponse listeners;

 private:
  // Until it is let go or nobody listens any more; and not for ever, so that who waits for it fails a test.
  void KeepSilent(const grpc::ServerContext& context) {
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (!context.IsCancelled() && absl::Now() < until &&
           !go_on.WaitForNotificationWithTimeout(absl::Milliseconds(20))) {
    }
  }

  mutable absl::Mutex mutex_;
  std::vector<v1::ArmRequest> armed_ ABSL_GUARDED_BY(mutex_);
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace keystead::console::testing
