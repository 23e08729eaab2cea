#include "core/transport/server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/transport/listeners.h"
#include "core/transport/transport_metrics.h"

namespace keystead {
namespace {

constexpr absl::Duration kDefaultGrace = absl::Seconds(1);
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
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Milliseconds(options.handshakes.handshake));
  // Probing for bandwidth lets the window grow until about 4 MiB pile up per unread stream.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
                             static_cast<int>(options.stream_lookahead_bytes));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepalive));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(kMinPingInterval));
  if (options.memory_quota_bytes > 0) {
    builder.SetResourceQuota(grpc::ResourceQuota("keystead").Resize(options.memory_quota_bytes));
  }
}

absl::Status CheckOptions(const ServerOptions& options) {
  if (options.credentials == nullptr) return absl::InvalidArgumentError("a server needs credentials");
  if (options.resolver == nullptr)
    return absl::InvalidArgumentError("a server needs a resolver of its callers");
  if (options.services.empty()) return absl::InvalidArgumentError("a server needs a service");
  const HandshakeLimits& limits = options.handshakes;
  if (limits.at_once == 0 || limits.all_pending == 0 || limits.pending == 0)
    return absl::InvalidArgumentError("a server needs room for one handshake");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Acceptor::Lane>> AddLanes(const ServerOptions& options,
                                                     const std::shared_ptr<AcceptorWake>& wake,
                                                     grpc::ServerBuilder& builder) {
  using Builder = grpc::ServerBuilder::experimental_type;
  const auto authorize = MakeAuthProcessor(options.resolver, options.policy);
  std::vector<Acceptor::Lane> lanes(options.handshakes.at_once);
  for (Acceptor::Lane& lane : lanes) {
    lane.signal = std::make_shared<AcceptorLane>(wake);
    const auto credentials = options.credentials([signal = lane.signal] { signal->Succeeded(); });
    if (credentials == nullptr) return absl::InternalError("gRPC refused the TLS server options");
    credentials->SetAuthMetadataProcessor(authorize);
    lane.door = builder.experimental().AddExternalConnectionAcceptor(Builder::ExternalConnectionType::FROM_FD,
                                                                     credentials);
  }
  return lanes;
}

}  // namespace

RunningServer::RunningServer(std::unique_ptr<grpc::Server> server, std::unique_ptr<Acceptor> acceptor,
                             std::string host, int port)
    : server_(std::move(server)), acceptor_(std::move(acceptor)), host_(std::move(host)), port_(port) {}

RunningServer::RunningServer(RunningServer&&) noexcept = default;

RunningServer& RunningServer::operator=(RunningServer&& other) noexcept {
  if (this != &other) {
    Shutdown(kDefaultGrace);
    server_ = std::move(other.server_);
    acceptor_ = std::move(other.acceptor_);
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
  acceptor_->Stop();
  if (server_->GetHealthCheckService() != nullptr) server_->GetHealthCheckService()->Shutdown();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
  server_.reset();
  acceptor_.reset();
}

absl::StatusOr<RunningServer> StartServer(const ServerOptions& options) {
  KS_RETURN_IF_ERROR(CheckOptions(options));
  const std::string& at = options.listen_address;
  const size_t colon = at.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return absl::InvalidArgumentError(absl::StrCat("not host:port: ", at));
  absl::StatusOr<Listeners> listeners = Listen(at.substr(0, colon), at.substr(colon + 1), kKeepaliveTimeout);
  if (!listeners.ok()) {
    return absl::Status(listeners.status().code(),
                        absl::StrCat("cannot listen on ", at, ": ", listeners.status().message()));
  }
  // A process-wide switch that gRPC does not guard; the initialisation of a static does.
  [[maybe_unused]] static const bool health_is_on = [] {
    grpc::EnableDefaultHealthCheckService(true);
    return true;
  }();

  ServeFailedCalls();
  grpc::ServerBuilder builder;
  auto wake = std::make_shared<AcceptorWake>();
  KS_ASSIGN_OR_RETURN(std::vector<Acceptor::Lane> lanes, AddLanes(options, wake, builder));
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  SetLimits(options, builder);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::InternalError("gRPC did not start the server");
  auto acceptor = std::make_unique<Acceptor>(options.handshakes, std::move(listeners->sockets),
                                             std::move(lanes), std::move(wake));
  KS_RETURN_IF_ERROR(acceptor->Start());
  return RunningServer(std::move(server), std::move(acceptor), at.substr(0, colon), listeners->port);
}

}  // namespace keystead
