// Where a server listens: an address and a port, as an operator writes them.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace keystead {

struct ListenAddress {
  std::string address;                   // by number: "127.0.0.1", "::1"
  int port = 0;                          // 0: the system chooses
  sockaddr_storage socket_address = {};  // the same, with the port, for bind()
  socklen_t socket_address_size = 0;
  bool is_loopback = false;  // 127.0.0.0/8 (RFC 1122 section 3.2.1.3) or ::1 (RFC 4291 section 2.5.3)
};

// "127.0.0.1:9464", "[::1]:0", or a name, which is looked up once, now: "backend-metrics:9464". "localhost"
// is 127.0.0.1, whatever the machine's hosts file says. INVALID_ARGUMENT: not of this form, an unknown name,
// or one with several addresses, for then it would depend on chance who can reach the server. The text begins
// with what was given. May wait for the resolver.
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);

}  // namespace keystead
