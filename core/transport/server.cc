#include "core/transport/server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"

namespace keystead {
namespace {

constexpr absl::Duration kDefaultGrace = absl::Seconds(1);
constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);
constexpr absl::Duration kKeepalive =
    absl::Seconds(60);  // a silent connection is probed, and closed when dead
constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(20);
constexpr absl::Duration kMinPingInterval = absl::Seconds(5);  // a client that pings oftener is disconnected
constexpr int kMaxMetadataBytes = 8 << 10;

int Milliseconds(absl::Duration d) { return static_cast<int>(absl::ToInt64Milliseconds(d)); }

void SetLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kHandshakeTimeout));
  // Probing for bandwidth lets the window grow until about 4 MiB pile up per unread stream.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
                             static_cast<int>(options.stream_lookahead_bytes));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepalive));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(kMinPingInterval));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  if (options.memory_quota_bytes > 0) {
    builder.SetResourceQuota(grpc::ResourceQuota("keystead").Resize(options.memory_quota_bytes));
  }
}

// gRPC does not say why it could not listen, so the same is tried once more without it.
std::string WhyNotListening(const std::string& host, const std::string& port) {
  std::string bare = host;
  if (bare.size() > 2 && bare.front() == '[' && bare.back() == ']') bare = bare.substr(1, bare.size() - 2);
  addrinfo wanted{};
  wanted.ai_flags = AI_PASSIVE;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(bare.c_str(), port.c_str(), &wanted, &found) != 0)
    return "the host or port is not known; give an address and a number";
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  const int probe = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return std::strerror(errno);
  const int error = bind(probe, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  close(probe);
  switch (error) {
    case EADDRINUSE:
      return "the port is taken; end who has it, or choose another (port 0 lets the system choose)";
    case EADDRNOTAVAIL:
      return "the address is none of this machine's; use one that is, or 0.0.0.0 or [::] for all";
    case EACCES:
      return "ports below 1024 need a privilege; choose a higher one";
    case 0:
      return "the port was taken a moment ago; try again";
    default:
      return std::strerror(error);
  }
}

}  // namespace

RunningServer::RunningServer(std::unique_ptr<grpc::Server> server, std::string host, int port)
    : server_(std::move(server)), host_(std::move(host)), port_(port) {}

RunningServer::RunningServer(RunningServer&&) noexcept = default;

RunningServer& RunningServer::operator=(RunningServer&& other) noexcept {
  if (this != &other) {
    Shutdown(kDefaultGrace);
    server_ = std::move(other.server_);
    host_ = std::move(other.host_);
    port_ = other.port_;
  }
  return *this;
}

RunningServer::~RunningServer() { Shutdown(kDefaultGrace); }

std::string RunningServer::address() const { return absl::StrCat(host_, ":", port_); }

void RunningServer::SetServing(bool serving) {
  if (server_ == nullptr || server_->GetHealthCheckService() == nullptr) return;
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

void RunningServer::Shutdown(absl::Duration grace) {
  if (server_ == nullptr) return;
  if (server_->GetHealthCheckService() != nullptr) server_->GetHealthCheckService()->Shutdown();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
  server_.reset();
}

absl::StatusOr<RunningServer> StartServer(const ServerOptions& options) {
  if (options.credentials == nullptr) return absl::InvalidArgumentError("a server needs credentials");
  if (options.resolver == nullptr)
    return absl::InvalidArgumentError("a server needs a resolver of its callers");
  if (options.services.empty()) return absl::InvalidArgumentError("a server needs a service");
  const size_t colon = options.listen_address.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(absl::StrCat("not host:port: ", options.listen_address));
  }
  // A process-wide switch that gRPC does not guard; the initialisation of a static does.
  [[maybe_unused]] static const bool health_is_on = [] {
    grpc::EnableDefaultHealthCheckService(true);
    return true;
  }();
  options.credentials->SetAuthMetadataProcessor(MakeAuthProcessor(options.resolver, options.policy));

  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen_address, options.credentials, &port);
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  SetLimits(options, builder);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port <= 0) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", options.listen_address, ": ",
        WhyNotListening(options.listen_address.substr(0, colon), options.listen_address.substr(colon + 1))));
  }
  return RunningServer(std::move(server), options.listen_address.substr(0, colon), port);
}

}  // namespace keystead
