#include "tests/unit/infra_sim/hop_fixture.h"

#include <chrono>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/identity/enrollment.h"
#include "core/identity/issuer.h"
#include "core/identity/tls_process.h"
#include "core/transport/channel_options.h"
#include "core/transport/status_mapping.h"
#include "core/transport/tls_credentials.h"

namespace keystead::infra {
namespace {

// Before main, as the header of PinTls13Process asks.
[[maybe_unused]] const bool kPinned = [] {
  if (!PinTls13Process().ok()) std::abort();
  return true;
}();

constexpr char kNextHopId[] = "spiffe://provider-one.example/service/backend";

std::string CallerOf(const grpc::ServerContextBase& context, const PrincipalResolver& resolver) {
  const auto principal = PrincipalOf(context, resolver);
  return principal.ok() ? (*principal)->uri() : "nobody";
}

grpc::ServerUnaryReactor* Finished(grpc::CallbackServerContext* context, const grpc::Status& status) {
  auto* const reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

class FakeTransport final : public v1::Transport::CallbackService {
 public:
  FakeTransport(NextHop* next, const PrincipalResolver* resolver) : next_(next), resolver_(resolver) {}

  class PublishReactor final : public grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse> {
   public:
    PublishReactor(NextHop* next, std::string caller) : next_(next), caller_(std::move(caller)) {
      StartRead(&request_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::OK);
      next_->Take(caller_, ++requests_, request_);
      response_.Clear();
      response_.set_durable_requests(requests_);
      for (int i = 0; i < request_.groups_size(); ++i) {
        const auto refusal = next_->Refuse(requests_, static_cast<uint32_t>(i), request_.groups(i));
        if (refusal.has_value()) *response_.add_refusals() = *refusal;
      }
      StartWrite(&response_);
    }
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&request_);
      if (!ok) Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    NextHop* const next_;
    const std::string caller_;
    uint64_t requests_ = 0;
    v1::PublishRequest request_;
    v1::PublishResponse response_;
  };

  class SubscribeReactor final : public grpc::ServerWriteReactor<v1::SubscribeResponse> {
   public:
    explicit SubscribeReactor(std::vector<v1::SubscribeResponse> script) : script_(std::move(script)) {
      Next();
    }
    void OnWriteDone(bool ok) override {
      if (ok) Next();
    }
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }

   private:
    void Next() {
      if (at_ < script_.size()) StartWrite(&script_[at_++]);
    }
    const std::vector<v1::SubscribeResponse> script_;
    size_t at_ = 0;
  };

  grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* Publish(
      grpc::CallbackServerContext* context) override {
    return new PublishReactor(next_, CallerOf(*context, *resolver_));
  }
  grpc::ServerWriteReactor<v1::SubscribeResponse>* Subscribe(grpc::CallbackServerContext*,
                                                             const v1::SubscribeRequest* request) override {
    next_->subscribed = *request;
    return new SubscribeReactor(next_->script);
  }

 private:
  NextHop* const next_;
  const PrincipalResolver* const resolver_;
};

class FakeRegistry final : public v1::Registry::CallbackService {
 public:
  explicit FakeRegistry(NextHop* next) : next_(next) {}
  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const v1::SubmitCommitRequest* request,
                                   v1::SubmitCommitResponse* response) override {
    next_->Submitted(request->bundle());
    response->set_epoch(7);
    return Finished(context, grpc::Status::OK);
  }
  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context, const v1::FetchCommitsRequest*,
                                  v1::FetchCommitsResponse* response) override {
    for (const std::string& bundle : next_->bundles) response->add_bundles(bundle);
    return Finished(context, grpc::Status::OK);
  }

 private:
  NextHop* const next_;
};

// Await never answers of itself: it waits for its caller to give up.
class FakeRendezvous final : public v1::Rendezvous::CallbackService {
 public:
  class Waiting final : public grpc::ServerUnaryReactor {
   public:
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }
  };
  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const v1::PutRequest* request,
                                v1::PutResponse*) override {
    const bool damaged = request->message() != "genuine message";
    return Finished(context,
                    damaged ? grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "damaged") : grpc::Status::OK);
  }
  grpc::ServerUnaryReactor* Await(grpc::CallbackServerContext*, const v1::AwaitRequest*,
                                  v1::AwaitResponse*) override {
    return new Waiting;
  }
};

// Judges requests and issues as a backend does, under acme's enrollment key.
class FakeEnrollment final : public v1::Enrollment::CallbackService {
 public:
  FakeEnrollment(const PrincipalResolver* resolver, CertificateIssuer issuer, testing::TestPki* pki)
      : resolver_(resolver), issuer_(std::move(issuer)), pki_(pki) {}
  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context, const v1::EnrollRequest* request,
                                   v1::EnrollResponse* response) override {
    const absl::StatusOr<Enrollee> enrollee = VerifyEnrollment(
        {request->factory_chain(), Bytes(request->proof().begin(), request->proof().end())}, *resolver_);
    if (!enrollee.ok()) return Finished(context, ToPeer(enrollee.status(), "refused"));
    const auto leaf = issuer_.IssueFor(pki_->Request(enrollee->id.str()), enrollee->public_key_pem);
    if (!leaf.ok()) return Finished(context, ToPeer(leaf.status(), "not issued"));
    response->set_chain(leaf->chain_pem);
    return Finished(context, grpc::Status::OK);
  }

 private:
  const PrincipalResolver* const resolver_;
  const CertificateIssuer issuer_;
  testing::TestPki* const pki_;
};

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "hop_fixture: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

}  // namespace

void NextHop::Take(const std::string& caller, uint64_t request, const v1::PublishRequest& groups) {
  absl::MutexLock lock(&mutex_);
  for (const std::string& group : groups.groups()) got_.push_back({caller, request, group});
}

std::vector<NextHop::Got> NextHop::groups() const {
  absl::MutexLock lock(&mutex_);
  return got_;
}

std::vector<NextHop::Got> NextHop::WaitForGroups(size_t count) const {
  absl::MutexLock lock(&mutex_);
  const auto enough = [&] {
    mutex_.AssertReaderHeld();
    return got_.size() >= count;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(10));
  return got_;
}

std::optional<v1::Refusal> NextHop::Refuse(uint64_t request, uint32_t index, const std::string& group) const {
  if (refuse_ == nullptr || !refuse_(group)) return std::nullopt;
  v1::Refusal refusal;
  refusal.set_request(request);
  refusal.set_group(index);
  refusal.set_code(static_cast<int32_t>(grpc::StatusCode::INVALID_ARGUMENT));
  refusal.set_reason("not like this");
  return refusal;
}

std::vector<std::string> NextHop::submitted() const {
  absl::MutexLock lock(&mutex_);
  return submitted_;
}

void NextHop::Submitted(const std::string& bundle) {
  absl::MutexLock lock(&mutex_);
  submitted_.push_back(bundle);
}

HopTest::HopTest() {
  EXPECT_TRUE(tenants_.LoadFolder(pki_.folder() + "/tenants").ok());
  services_.push_back(std::make_unique<FakeTransport>(&next_, &resolver_));
  services_.push_back(std::make_unique<FakeRegistry>(&next_));
  services_.push_back(std::make_unique<FakeRendezvous>());
  services_.push_back(
      std::make_unique<FakeEnrollment>(&resolver_, pki_.EnrollmentIssuer(testing::kAcme), &pki_));
  const RoleSet gateway = RoleSet::Of(Role::kGateway);
  ServerOptions options;
  options.listen_address = "127.0.0.1:0";
  options.credentials = OrDie(MakeServerCredentials(TlsOptions{.files = pki_.Backend()}));
  options.resolver = std::shared_ptr<const PrincipalResolver>(std::shared_ptr<void>(), &resolver_);
  options.policy = {
      {"/keystead.v1.Enrollment/Enroll", gateway},   {"/keystead.v1.Transport/Publish", gateway},
      {"/keystead.v1.Transport/Subscribe", gateway}, {"/keystead.v1.Registry/Submit", gateway},
      {"/keystead.v1.Registry/Fetch", gateway},      {"/keystead.v1.Rendezvous/Put", gateway},
      {"/keystead.v1.Rendezvous/Await", gateway}};
  for (const auto& service : services_) options.services.push_back(service.get());
  next_server_.emplace(OrDie(StartServer(options)));
}

HopTest::~HopTest() {
  balancer_.reset();
  next_server_->Shutdown(absl::ZeroDuration());
}

BalancerOptions HopTest::Options(bool with_globex) const {
  BalancerOptions options;
  options.name = "front";
  options.listen_address = "127.0.0.1:0";
  options.files = pki_.Backend();
  for (const char* tenant : {testing::kAcme, testing::kGlobex}) {
    if (tenant == testing::kGlobex && !with_globex) continue;
    options.upstreams.push_back({testing::Tenant(tenant), next_server_->address(),
                                 pki_.Leaf(tenant, Role::kGateway, "balancer"),
                                 OrDie(PeerExpectation::Parse(kNextHopId))});
  }
  return options;
}

void HopTest::StartBalancer(bool with_globex) {
  balancer_ = OrDie(Balancer::Start(Options(with_globex), &engine_, &timer_, &resolver_));
}

std::shared_ptr<grpc::Channel> HopTest::Client(const char* tenant, Role role) {
  const TlsOptions tls = {.files = pki_.Leaf(tenant, role, role == Role::kFactory ? "device.one" : "one")};
  const auto credentials = OrDie(MakeChannelCredentials(tls, OrDie(PeerExpectation::Parse(kNextHopId))));
  return DialChannel(absl::StrCat("127.0.0.1:", balancer_->port()), credentials,
                     ChannelOptions{.own_connection = true});
}

Publishing::Publishing(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(v1::Transport::NewStub(channel)) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  stream_ = stub_->Publish(&context_);
}

bool Publishing::Send(const std::vector<std::string>& groups) {
  v1::PublishRequest request;
  for (const std::string& group : groups) request.add_groups(group);
  return stream_->Write(request);
}

std::optional<v1::PublishResponse> Publishing::WaitForAck(uint64_t durable) {
  v1::PublishResponse merged, response;
  while (merged.durable_requests() < durable) {
    if (!stream_->Read(&response)) return std::nullopt;
    EXPECT_GE(response.durable_requests(), merged.durable_requests()) << "acknowledgements never go back";
    merged.set_durable_requests(response.durable_requests());
    merged.mutable_refusals()->MergeFrom(response.refusals());
  }
  return merged;
}

}  // namespace keystead::infra
