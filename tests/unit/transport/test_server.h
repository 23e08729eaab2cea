// A real server on loopback and clients good and bad, with certificates of certs/make-pki.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/observe/security_event.h"
#include "core/transport/server.h"
#include "core/transport/tls_credentials.h"
#include "keystead/v1/transport.grpc.pb.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {

inline constexpr char kPublishMethod[] = "/keystead.v1.Transport/Publish";
inline constexpr char kSubscribeMethod[] = "/keystead.v1.Transport/Subscribe";
inline constexpr char kBackendId[] = "spiffe://provider-one.example/service/backend";

// Publish counts requests; Subscribe answers with the caller's name in place of a log id, and ends.
class EchoTransport final : public v1::Transport::CallbackService {
 public:
  explicit EchoTransport(const PrincipalResolver* resolver) : resolver_(resolver) {}
  grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* Publish(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<v1::SubscribeResponse>* Subscribe(grpc::CallbackServerContext* context,
                                                             const v1::SubscribeRequest* request) override;

 private:
  const PrincipalResolver* const resolver_;
};

// Publish is for devices and gateways, Subscribe for apps, health checks for everyone.
class TestServer {
 public:
  explicit TestServer(const CertificateFiles& files);
  explicit TestServer(ServerCredentialsFactory credentials);
  ~TestServer();

  const std::string& address() const { return address_; }
  int port() const { return server_->port(); }
  TenantDirectory& directory() { return directory_; }
  DenyList& deny_list() { return deny_list_; }
  RunningServer& server() { return *server_; }
  // Security events since the start, by kind.
  std::vector<SecurityEvent> Events(SecurityEventKind kind) const;

 private:
  void Start(ServerCredentialsFactory credentials);

  TenantDirectory directory_;
  DenyList deny_list_;
  std::shared_ptr<PrincipalResolver> resolver_ =
      std::make_shared<PrincipalResolver>(&directory_, &deny_list_);
  EchoTransport service_{resolver_.get()};
  std::unique_ptr<RunningServer> server_;
  std::string address_;
  mutable absl::Mutex mutex_;
  std::vector<SecurityEvent> events_ ABSL_GUARDED_BY(mutex_);
};

// A channel of its own connection.
std::shared_ptr<grpc::Channel> Dial(const std::string& address,
                                    const std::shared_ptr<grpc::ChannelCredentials>& credentials);
// As our programs do it.
std::shared_ptr<grpc::Channel> Connect(const std::string& address, const CertificateFiles& files,
                                       const std::string& expected = kBackendId);
// As someone does who sends whatever there is: gRPC's plain TLS credentials, checked by nobody on this side
// but for the server's chain. Without files.key it sends no certificate.
std::shared_ptr<grpc::Channel> ConnectRaw(const std::string& address, const CertificateFiles& files);

// One call with an empty message, five seconds at most.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method);
grpc::Status Check(const std::shared_ptr<grpc::Channel>& channel);  // grpc.health.v1; OK only when SERVING

// A Publish stream that is kept open.
class OpenPublish {
 public:
  explicit OpenPublish(const std::shared_ptr<grpc::Channel>& channel);
  ~OpenPublish();
  bool Works();  // one more request is answered with the right number

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::Transport::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PublishRequest, v1::PublishResponse>> stream_;
  uint64_t sent_ = 0;
};

}  // namespace keystead::testing
