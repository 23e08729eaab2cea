// What of gRPC our headers only hand on. Its own headers cost every file that includes one more than a
// second; who calls a channel or a server includes what declares it.
#pragma once

namespace grpc {
class AuthMetadataProcessor;
class ByteBuffer;
class Channel;
class ChannelArguments;
class ChannelCredentials;
class ClientContext;
class Server;
class ServerContextBase;
class ServerCredentials;
class Service;
namespace experimental {
class ExternalConnectionAcceptor;
}
}  // namespace grpc
