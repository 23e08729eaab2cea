// The channel arguments of every client and server, in one place (measured: docs/operations.md, "gRPC").
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "core/transport/grpc_names.h"

namespace keystead {

struct ChannelOptions {
  // Pings while calls are open notice a dead path. A server of ours accepts them from 10 s on.
  absl::Duration keepalive = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // Connections are shared per process and target unless apart: simulated devices each have their own.
  bool own_connection = false;
};

grpc::ChannelArguments MakeChannelArguments(const ChannelOptions& options = ChannelOptions());

// `address` is host:port. Never fails and does not connect yet.
std::shared_ptr<grpc::Channel> DialChannel(const std::string& address,
                                           const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                           const ChannelOptions& options = ChannelOptions());

// Leads nowhere: every call fails like one to a hop that is not there. For who has nothing to show yet.
std::shared_ptr<grpc::Channel> ChannelToNowhere();

}  // namespace keystead
