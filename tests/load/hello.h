// TLS handshakes that are begun and never finished.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "tests/load/credentials.h"
#include "tests/load/engine.h"

namespace keystead::load {

// What a client with this certificate sends first: taken down from a gRPC channel of ours on a port of ours.
// It can be sent again to any server, which cannot tell (RFC 8446, section 4.1.2).
absl::StatusOr<std::string> ClientHelloOf(const Target& target, const Identity& identity);

// Connects to host:port, says hello, waits for the first bytes of the answer and drops the connection.
// UNAVAILABLE: the server took no connection or closed it unanswered. DEADLINE_EXCEEDED after some seconds.
absl::Status SayHello(const std::string& address, const std::string& hello);

}  // namespace keystead::load
