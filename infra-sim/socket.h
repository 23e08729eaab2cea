// The few socket calls of the TCP relay, with their resources owned.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace keystead::infra {

// A file descriptor, closed when destroyed.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

// "host:port" or "[v6]:port". Statuses name the address. Port 0 listens where the system chooses.
absl::StatusOr<Socket> ListenTcp(const std::string& address);
absl::StatusOr<Socket> ConnectTcp(const std::string& address);  // blocks until connected or refused
int BoundPort(const Socket& socket);
// All of it, or false. Never raises SIGPIPE.
bool WriteAll(const Socket& socket, std::string_view bytes);

}  // namespace keystead::infra
