#include "gateway/proxy.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/identity/enrollment.h"
#include "core/identity/peer_event.h"
#include "core/transport/authorization.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/revocation_fetch.h"
#include "core/transport/roster_gate.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/enrollment.grpc.pb.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/rendezvous.grpc.pb.h"
#include "keystead/v1/revocation.grpc.pb.h"

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
  void End(const std::function<bool(const Principal&)>& refused);
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

  // Who calls, and a place for it among the others'; what is given back when the call is done.
  absl::StatusOr<std::shared_ptr<const Principal>> Enter(const grpc::CallbackServerContext& caller,
                                                         const PrincipalResolver& resolver,
                                                         CallPlaces& places, RateLimiter& rate) {
    KS_ASSIGN_OR_RETURN(std::shared_ptr<const Principal> peer, PrincipalOf(caller, resolver));
    absl::Status room = TakeRate(rate, peer->uri(), peer_limits::kGatewayCalls);
    if (room.ok()) {
      place_ = places.Enter("", peer->uri());
      if (place_ == nullptr) room = LimitReached(peer_limits::kGatewayCalls, peer_limits::kComeBackForPlace);
    }
    KS_RETURN_IF_ERROR(ReportLimit(*peer, "more calls through the gateway than one peer may have", room));
    peer_ = peer;
    return peer;
  }

  template <class Begin>
  void Start(std::chrono::system_clock::time_point deadline, absl::Duration limit, Begin begin) {
    context_.set_deadline(std::min(deadline, absl::ToChronoTime(absl::Now() + limit)));
    if (!calls_.Add(self_)) return Refuse(absl::UnavailableError("stopping"));
    begin(&context_,
          [this](const grpc::Status& status) { Finish(ToPeer(FromGrpc(status), "proxied_call")); });
  }

  void Abandon() { context_.TryCancel(); }
  const Principal& peer() const { return *peer_; }  // of one that was started
  void OnCancel() override { context_.TryCancel(); }
  void OnDone() override {
    calls_.Remove(self_);
    self_.reset();
  }

 private:
  OpenCalls& calls_;
  std::shared_ptr<ProxiedCall> self_;  // until OnDone
  std::shared_ptr<const Principal> peer_;
  CallPlaces::Place place_;
  grpc::ClientContext context_;
};

// What one hop may ask of the next, shared by all who call through it.
struct Shares {
  explicit Shares(const ProxyOptions& options)
      : awaits(options.awaits), calls(options.calls), rate(options.rate, options.clock) {}
  CallPlaces awaits;
  CallPlaces calls;
  RateLimiter rate;
};

void OpenCalls::End(const std::function<bool(const Principal&)>& refused) {
  absl::flat_hash_set<std::shared_ptr<ProxiedCall>> calls;
  {
    absl::MutexLock lock(&mutex_);
    calls = calls_;
  }
  for (const std::shared_ptr<ProxiedCall>& call : calls) {
    if (refused(call->peer())) call->Abandon();
  }
}

void OpenCalls::Stop() {
  absl::flat_hash_set<std::shared_ptr<ProxiedCall>> calls;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    calls = calls_;
  }
  for (const std::shared_ptr<ProxiedCall>& call : calls) call->Abandon();
}

// What the proxies of all services have in common.
class ServiceProxy {
 protected:
  ServiceProxy(const ProxyOptions& options, OpenCalls& calls, Shares& shares)
      : options_(options), calls_(calls), shares_(shares) {}

  // A call that goes on as it came, unless `form` says what is wrong with it.
  template <class Begin>
  ProxiedCall* Pass(const grpc::CallbackServerContext& context, absl::Status form, CallPlaces& places,
                    absl::Duration limit, Begin begin) const {
    ProxiedCall* const call = ProxiedCall::New(calls_);
    if (form.ok()) form = call->Enter(context, *options_.resolver, places, shares_.rate).status();
    if (form.ok()) {
      call->Start(context.deadline(), limit, begin);
    } else {
      call->Refuse(form);
    }
    return call;
  }

  const ProxyOptions& options_;
  OpenCalls& calls_;
  Shares& shares_;
};

absl::Status CheckPut(const v1::PutRequest& request) {
  if (request.box().size() != MailboxName::kSize || request.message().empty() ||
      request.message().size() > limits::kMailboxBytes)
    return absl::InvalidArgumentError("a mailbox message of another form");
  return absl::OkStatus();
}

class RendezvousProxy final : public v1::Rendezvous::CallbackService, private ServiceProxy {
 public:
  RendezvousProxy(const ProxyOptions& options, OpenCalls& calls, Shares& shares)
      : ServiceProxy(options, calls, shares) {}

  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const v1::PutRequest* request,
                                v1::PutResponse* response) override {
    return Pass(
        *context, CheckPut(*request), shares_.calls, options_.call_limit,
        [&](grpc::ClientContext* out, auto done) {
          v1::Rendezvous::Stub(options_.channel.get()).async()->Put(out, request, response, std::move(done));
        });
  }

  grpc::ServerUnaryReactor* Await(grpc::CallbackServerContext* context, const v1::AwaitRequest* request,
                                  v1::AwaitResponse* response) override {
    const absl::Status status = request->box().size() == MailboxName::kSize
                                    ? absl::OkStatus()
                                    : absl::InvalidArgumentError("a mailbox name of another size");
    return Pass(*context, status, shares_.awaits, options_.await_limit,
                [&](grpc::ClientContext* out, auto done) {
                  v1::Rendezvous::Stub(options_.channel.get())
                      .async()
                      ->Await(out, request, response, std::move(done));
                });
  }
};

class RegistryProxy final : public v1::Registry::CallbackService, private ServiceProxy {
 public:
  RegistryProxy(const ProxyOptions& options, OpenCalls& calls, Shares& shares)
      : ServiceProxy(options, calls, shares) {}

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const v1::SubmitCommitRequest* request,
                                   v1::SubmitCommitResponse* response) override {
    absl::Status status = CheckPlace(*context, request->tenant(), request->instantiation());
    if (status.ok() && request->bundle().size() > limits::kMaxCommitBytes)
      status = absl::InvalidArgumentError("a commit larger than the limit");
    return Pass(
        *context, status, shares_.calls, options_.call_limit, [&](grpc::ClientContext* out, auto done) {
          v1::Registry::Stub(options_.channel.get()).async()->Submit(out, request, response, std::move(done));
        });
  }

  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const v1::FetchCommitsRequest* request,
                                  v1::FetchCommitsResponse* response) override {
    ProxiedCall* const call = ProxiedCall::New(calls_);
    const absl::Status status = CheckPlace(*context, request->tenant(), request->instantiation());
    if (!status.ok()) {
      call->Refuse(status);
      return call;
    }
    absl::StatusOr<std::shared_ptr<const Principal>> peer =
        call->Enter(*context, *options_.resolver, shares_.calls, shares_.rate);
    if (!peer.ok()) {
      call->Refuse(peer.status());
      return call;
    }
    // The next hop answers the gateway, which is a member: who asks here must be one, too.
    options_.may_follow(
        *std::move(peer), *InstantiationId::FromBytes(request->instantiation()),
        [this, call, request, response, deadline = context->deadline()](const absl::Status& may) {
          if (!may.ok()) return call->Refuse(may);
          call->Start(deadline, options_.call_limit, [&](grpc::ClientContext* out, auto done) {
            v1::Registry::Stub(options_.channel.get())
                .async()
                ->Fetch(out, request, response, std::move(done));
          });
        });
    return call;
  }

 private:
  absl::Status CheckPlace(const grpc::CallbackServerContext& caller, std::string_view tenant,
                          std::string_view instantiation) const {
    const absl::StatusOr<InstantiationId> id = InstantiationId::FromBytes(instantiation);
    if (!id.ok()) return id.status();
    if (tenant == options_.tenant.str() && options_.carries(*id)) return absl::OkStatus();
    KS_ASSIGN_OR_RETURN(const auto peer, PrincipalOf(caller, *options_.resolver));
    return NoSuchInstantiation(*peer, "registry: not of this gateway's home");
  }
};

// A request to enroll proves itself, so it matters nothing that the next hop sees the gateway's certificate.
class EnrollmentProxy final : public v1::Enrollment::CallbackService, private ServiceProxy {
 public:
  EnrollmentProxy(const ProxyOptions& options, OpenCalls& calls, Shares& shares)
      : ServiceProxy(options, calls, shares) {}

  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context, const v1::EnrollRequest* request,
                                   v1::EnrollResponse* response) override {
    absl::Status status;
    if (request->factory_chain().size() > kMaxFactoryChainBytes ||
        request->proof().size() > kMaxEnrollmentProofBytes)
      status = absl::InvalidArgumentError("an enrollment request larger than the limit");
    return Pass(*context, status, shares_.calls, options_.call_limit,
                [&](grpc::ClientContext* out, auto done) {
                  v1::Enrollment::Stub(options_.channel.get())
                      .async()
                      ->Enroll(out, request, response, std::move(done));
                });
  }
};

// An object of revocations proves itself, so it goes on to the backend; what counts here comes back from
// there, verified (revocation_link.h).
class RevocationProxy final : public v1::Revocation::CallbackService, private ServiceProxy {
 public:
  RevocationProxy(const ProxyOptions& options, OpenCalls& calls, Shares& shares)
      : ServiceProxy(options, calls, shares), fetches_(options.clock) {}

  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context,
                                const v1::PutRevocationsRequest* request,
                                v1::PutRevocationsResponse* response) override {
    absl::Status status;
    if (request->object().size() > kMaxRevocationBytes)
      status = absl::InvalidArgumentError("revocations larger than the limit");
    return Pass(
        *context, status, shares_.calls, options_.call_limit, [&](grpc::ClientContext* out, auto done) {
          v1::Revocation::Stub(options_.channel.get()).async()->Put(out, request, response, std::move(done));
        });
  }
  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const v1::FetchRevocationsRequest* request,
                                  v1::FetchRevocationsResponse* response) override {
    return StartRevocationFetch(*context, *request, response, *options_.resolver, *options_.revocations,
                                fetches_);
  }

 private:
  RevocationShares fetches_;
};

}  // namespace

class Proxy::Impl {
 public:
  explicit Impl(const ProxyOptions& options)
      : options_(options),
        shares_(options),
        rendezvous_(options_, calls_, shares_),
        registry_(options_, calls_, shares_),
        enrollment_(options_, calls_, shares_),
        revocation_(options_, calls_, shares_) {}

  const ProxyOptions options_;
  OpenCalls calls_;
  Shares shares_;
  RendezvousProxy rendezvous_;
  RegistryProxy registry_;
  EnrollmentProxy enrollment_;
  RevocationProxy revocation_;
};

Proxy::Proxy(const ProxyOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Proxy::~Proxy() = default;
std::vector<grpc::Service*> Proxy::services() {
  return {&impl_->rendezvous_, &impl_->registry_, &impl_->enrollment_, &impl_->revocation_};
}
void Proxy::EndCalls(const std::function<bool(const Principal&)>& refused) { impl_->calls_.End(refused); }
void Proxy::Stop() { impl_->calls_.Stop(); }

}  // namespace keystead::gateway
