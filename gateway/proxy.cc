#include "gateway/proxy.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "core/base/limits.h"
#include "core/transport/roster_gate.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/rendezvous.grpc.pb.h"

namespace keystead::gateway {
namespace {

class ProxiedCall;

// The calls under way, so that they can be given up together.
class OpenCalls {
 public:
  bool Add(std::shared_ptr<ProxiedCall> call) {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return false;
    calls_.insert(std::move(call));
    return true;
  }
  void Remove(const std::shared_ptr<ProxiedCall>& call) {
    absl::MutexLock lock(&mutex_);
    calls_.erase(call);
  }
  void Stop();

 private:
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<std::shared_ptr<ProxiedCall>> calls_ ABSL_GUARDED_BY(mutex_);
};

// One unary call. Finishes exactly once: at once with a refusal, or when the next hop's answer is there, and
// goes in OnDone, which comes after that.
class ProxiedCall final : public grpc::ServerUnaryReactor {
 public:
  static ProxiedCall* New(OpenCalls& calls) {
    auto call = std::make_shared<ProxiedCall>(calls);
    call->self_ = call;
    return call.get();
  }
  explicit ProxiedCall(OpenCalls& calls) : calls_(calls) {}

  void Refuse(const absl::Status& status) { Finish(ToPeer(status, "proxy_refused")); }

  template <class Begin>
  void Start(const grpc::CallbackServerContext& caller, absl::Duration limit, Begin begin) {
    context_.set_deadline(std::min(caller.deadline(), absl::ToChronoTime(absl::Now() + limit)));
    if (!calls_.Add(self_)) return Refuse(absl::UnavailableError("stopping"));
    begin(&context_,
          [this](const grpc::Status& status) { Finish(ToPeer(FromGrpc(status), "proxied_call")); });
  }

  void Abandon() { context_.TryCancel(); }
  void OnCancel() override { context_.TryCancel(); }
  void OnDone() override {
    calls_.Remove(self_);
    self_.reset();
  }

 private:
  OpenCalls& calls_;
  std::shared_ptr<ProxiedCall> self_;  // until OnDone
  grpc::ClientContext context_;
};

void OpenCalls::Stop() {
  absl::flat_hash_set<std::shared_ptr<ProxiedCall>> calls;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    calls = calls_;
  }
  for (const std::shared_ptr<ProxiedCall>& call : calls) call->Abandon();
}

absl::Status CheckPut(const v1::PutRequest& request) {
  if (request.box().size() != MailboxName::kSize || request.message().empty() ||
      request.message().size() > limits::kMailboxBytes)
    return absl::InvalidArgumentError("a mailbox message of another form");
  return absl::OkStatus();
}

class RendezvousProxy final : public v1::Rendezvous::CallbackService {
 public:
  RendezvousProxy(const ProxyOptions& options, OpenCalls& calls)
      : options_(options), calls_(calls), stub_(v1::Rendezvous::NewStub(options.channel)) {}

  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const v1::PutRequest* request,
                                v1::PutResponse* response) override {
    ProxiedCall* const call = ProxiedCall::New(calls_);
    if (absl::Status status = CheckPut(*request); !status.ok()) {
      call->Refuse(status);
    } else {
      call->Start(*context, options_.call_limit, [&](grpc::ClientContext* out, auto done) {
        stub_->async()->Put(out, request, response, std::move(done));
      });
    }
    return call;
  }

  grpc::ServerUnaryReactor* Await(grpc::CallbackServerContext* context, const v1::AwaitRequest* request,
                                  v1::AwaitResponse* response) override {
    ProxiedCall* const call = ProxiedCall::New(calls_);
    if (request->box().size() != MailboxName::kSize) {
      call->Refuse(absl::InvalidArgumentError("a mailbox name of another size"));
    } else {
      call->Start(*context, options_.await_limit, [&](grpc::ClientContext* out, auto done) {
        stub_->async()->Await(out, request, response, std::move(done));
      });
    }
    return call;
  }

 private:
  const ProxyOptions& options_;
  OpenCalls& calls_;
  const std::unique_ptr<v1::Rendezvous::Stub> stub_;
};

class RegistryProxy final : public v1::Registry::CallbackService {
 public:
  RegistryProxy(const ProxyOptions& options, OpenCalls& calls)
      : options_(options), calls_(calls), stub_(v1::Registry::NewStub(options.channel)) {}

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const v1::SubmitCommitRequest* request,
                                   v1::SubmitCommitResponse* response) override {
    ProxiedCall* const call = ProxiedCall::New(calls_);
    absl::Status status = CheckPlace(request->tenant(), request->instantiation());
    if (status.ok() && request->bundle().size() > limits::kMaxCommitBytes)
      status = absl::InvalidArgumentError("a commit larger than the limit");
    if (!status.ok()) {
      call->Refuse(status);
    } else {
      call->Start(*context, options_.call_limit, [&](grpc::ClientContext* out, auto done) {
        stub_->async()->Submit(out, request, response, std::move(done));
      });
    }
    return call;
  }

  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const v1::FetchCommitsRequest* request,
                                  v1::FetchCommitsResponse* response) override {
    ProxiedCall* const call = ProxiedCall::New(calls_);
    if (absl::Status status = CheckPlace(request->tenant(), request->instantiation()); !status.ok()) {
      call->Refuse(status);
    } else {
      call->Start(*context, options_.call_limit, [&](grpc::ClientContext* out, auto done) {
        stub_->async()->Fetch(out, request, response, std::move(done));
      });
    }
    return call;
  }

 private:
  absl::Status CheckPlace(std::string_view tenant, std::string_view instantiation) const {
    const absl::StatusOr<InstantiationId> id = InstantiationId::FromBytes(instantiation);
    if (!id.ok()) return id.status();
    if (tenant != options_.tenant.str() || !options_.carries(*id)) return NoSuchInstantiation();
    return absl::OkStatus();
  }

  const ProxyOptions& options_;
  OpenCalls& calls_;
  const std::unique_ptr<v1::Registry::Stub> stub_;
};

}  // namespace

class Proxy::Impl {
 public:
  explicit Impl(const ProxyOptions& options)
      : options_(options), rendezvous_(options_, calls_), registry_(options_, calls_) {}

  const ProxyOptions options_;
  OpenCalls calls_;
  RendezvousProxy rendezvous_;
  RegistryProxy registry_;
};

Proxy::Proxy(const ProxyOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Proxy::~Proxy() = default;
std::vector<grpc::Service*> Proxy::services() { return {&impl_->rendezvous_, &impl_->registry_}; }
void Proxy::Stop() { impl_->calls_.Stop(); }

}  // namespace keystead::gateway
