#include "tests/unit/transport/test_server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <cstdlib>

#include "absl/synchronization/notification.h"
#include "core/base/status.h"
#include "core/identity/tls_process.h"
#include "core/transport/status_mapping.h"

namespace keystead::testing {
namespace {

// Before main, as the header of PinTls13Process asks; the tests of TLS versions below it would fail
// otherwise.
[[maybe_unused]] const bool kPinned = [] {
  if (!PinTls13Process().ok()) std::abort();
  return true;
}();

constexpr std::chrono::seconds kCallTimeout{5};

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "test_server: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

class EchoReactor final : public grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse> {
 public:
  EchoReactor() { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    response_.set_durable_requests(response_.durable_requests() + 1);
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  v1::PublishRequest request_;
  v1::PublishResponse response_;
};

class WhoAmIReactor final : public grpc::ServerWriteReactor<v1::SubscribeResponse> {
 public:
  explicit WhoAmIReactor(const absl::StatusOr<std::shared_ptr<const Principal>>& principal) {
    if (!principal.ok()) {
      Finish(ToPeer(principal.status()));
      return;
    }
    response_.add_topics()->set_log_id((*principal)->uri());
    StartWrite(&response_);
  }
  void OnWriteDone(bool) override { Finish(grpc::Status::OK); }
  void OnDone() override { delete this; }

 private:
  v1::SubscribeResponse response_;
};

}  // namespace

grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* EchoTransport::Publish(
    grpc::CallbackServerContext*) {
  return new EchoReactor;
}

grpc::ServerWriteReactor<v1::SubscribeResponse>* EchoTransport::Subscribe(
    grpc::CallbackServerContext* context, const v1::SubscribeRequest*) {
  return new WhoAmIReactor(PrincipalOf(*context, *resolver_));
}

TestServer::TestServer(const CertificateFiles& files) {
  Start(OrDie(MakeServerCredentials({.files = files})));
}

TestServer::TestServer(ServerCredentialsFactory credentials) { Start(std::move(credentials)); }

void TestServer::Start(ServerCredentialsFactory credentials) {
  if (!directory_.LoadFolder(TestPki::Shared().folder() + "/tenants").ok()) std::abort();
  SetSecurityEventObserver([this](const SecurityEvent& event) {
    absl::MutexLock lock(&mutex_);
    events_.push_back(event);
  });
  ServerOptions options;
  options.listen_address = "127.0.0.1:0";
  options.credentials = std::move(credentials);
  options.resolver = resolver_;
  options.policy = AuthorizationPolicy{
      {kHealthCheckMethod, RoleSet::Operational()},
      {kPublishMethod, RoleSet::Of(Role::kDevice, Role::kGateway)},
      {kSubscribeMethod, RoleSet::Of(Role::kApp)},
  };
  options.services = {&service_};
  server_ = std::make_unique<RunningServer>(OrDie(StartServer(options)));
  address_ = server_->address();
}

TestServer::~TestServer() {
  server_->Shutdown(absl::Seconds(1));
  SetSecurityEventObserver(nullptr);
}

std::vector<SecurityEvent> TestServer::Events(SecurityEventKind kind) const {
  absl::MutexLock lock(&mutex_);
  std::vector<SecurityEvent> out;
  for (const SecurityEvent& event : events_) {
    if (event.kind == kind) out.push_back(event);
  }
  return out;
}

std::shared_ptr<grpc::Channel> Dial(const std::string& address,
                                    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetSslTargetNameOverride("localhost");
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address, const CertificateFiles& files,
                                       const std::string& expected) {
  return Dial(address,
              OrDie(MakeChannelCredentials({.files = files}, OrDie(PeerExpectation::Parse(expected)))));
}

std::shared_ptr<grpc::Channel> ConnectRaw(const std::string& address, const CertificateFiles& files) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ReadAll(files.roots);
  if (!files.key.empty()) {
    options.pem_cert_chain = ReadAll(files.chain);
    options.pem_private_key = ReadAll(files.key);
  }
  return Dial(address, grpc::SslCredentials(options));
}

namespace {

grpc::Status Unary(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                   std::string* answer) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  grpc::Slice empty;
  const grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  absl::Notification done;
  stub.UnaryCall(&context, method, grpc::StubOptions(), &request, &response, [&](grpc::Status result) {
    status = std::move(result);
    done.Notify();
  });
  done.WaitForNotification();
  std::vector<grpc::Slice> slices;
  if (status.ok() && response.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices)
      answer->append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return status;
}

}  // namespace

grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method) {
  std::string ignored;
  return Unary(channel, method, &ignored);
}

grpc::Status Check(const std::shared_ptr<grpc::Channel>& channel) {
  std::string answer;
  const grpc::Status status = Unary(channel, std::string(kHealthCheckMethod), &answer);
  // HealthCheckResponse {status: SERVING} in protobuf's encoding.
  if (status.ok() && answer != "\x08\x01") return {grpc::StatusCode::FAILED_PRECONDITION, "not serving"};
  return status;
}

OpenPublish::OpenPublish(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(v1::Transport::NewStub(channel)), stream_(stub_->Publish(&context_)) {}

OpenPublish::~OpenPublish() {
  context_.TryCancel();
  stream_->Finish();
}

bool OpenPublish::Works() {
  v1::PublishResponse response;
  ++sent_;
  return stream_->Write(v1::PublishRequest()) && stream_->Read(&response) &&
         response.durable_requests() == sent_;
}

}  // namespace keystead::testing
