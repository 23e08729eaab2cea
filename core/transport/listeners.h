// Sockets that listen, bound as gRPC would bind them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/file_descriptor.h"

namespace keystead {

struct Listeners {
  std::vector<FileDescriptor> sockets;  // non-blocking
  int port = 0;                         // of all of them
};

// Every address of the host, or of several with commas between; "0.0.0.0" and "[::]" both mean all of IPv4
// and IPv6. A connection that does not acknowledge for `user_timeout` is dead (RFC 5482). UNAVAILABLE, with
// why and what to do, when one of them cannot be bound; of a name of several addresses, those that are none
// of this machine's are left out.
absl::StatusOr<Listeners> Listen(const std::string& host, const std::string& port,
                                 absl::Duration user_timeout);

}  // namespace keystead
