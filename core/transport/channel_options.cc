#include "core/transport/channel_options.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "core/base/limits.h"

namespace keystead {

grpc::ChannelArguments MakeChannelArguments(const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxMessageBytes));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.keepalive)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_timeout)));
  // Default flow control would let 4 MiB pile up per stream whose reader is slow.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 512 << 10);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, options.own_connection ? 1 : 0);
  // We do our own waiting between calls; the channel's must not be longer than ours.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // How long one attempt may take, handshake included, whatever its name: a refused one is over at once.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  return arguments;
}

std::shared_ptr<grpc::Channel> DialChannel(const std::string& address,
                                           const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                           const ChannelOptions& options) {
  return grpc::CreateCustomChannel(address, credentials, MakeChannelArguments(options));
}

std::shared_ptr<grpc::Channel> ChannelToNowhere() {
  // No path can lie below a device file.
  return grpc::CreateCustomChannel("unix:/dev/null/nowhere", grpc::InsecureChannelCredentials(),
                                   MakeChannelArguments({.own_connection = true}));
}

}  // namespace keystead
