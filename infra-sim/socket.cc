#include "infra-sim/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace keystead::infra {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

absl::StatusOr<Addresses> Resolve(const std::string& address, bool listening) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return absl::InvalidArgumentError(absl::StrCat("'", address, "' is not host:port"));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = listening ? AI_PASSIVE | AI_NUMERICSERV : AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &list);
  if (error != 0) {
    return absl::InvalidArgumentError(absl::StrCat("'", address, "': ", gai_strerror(error)));
  }
  return Addresses(list);
}

void SetOption(const Socket& socket, int level, int name) {
  const int on = 1;
  setsockopt(socket.fd(), level, name, &on, sizeof(on));
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<Socket> ListenTcp(const std::string& address) {
  KS_ASSIGN_OR_RETURN(const Addresses at, Resolve(address, true));
  Socket socket(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SetOption(socket, SOL_SOCKET, SO_REUSEADDR);
  if (socket.fd() < 0 || bind(socket.fd(), at->ai_addr, at->ai_addrlen) != 0 ||
      listen(socket.fd(), SOMAXCONN) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", std::strerror(errno)));
  }
  return socket;
}

absl::StatusOr<Socket> ConnectTcp(const std::string& address) {
  KS_ASSIGN_OR_RETURN(const Addresses list, Resolve(address, false));
  for (const addrinfo* at = list.get(); at != nullptr; at = at->ai_next) {
    Socket socket(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket.fd() < 0 || connect(socket.fd(), at->ai_addr, at->ai_addrlen) != 0) continue;
    SetOption(socket, IPPROTO_TCP, TCP_NODELAY);
    return socket;
  }
  return absl::UnavailableError(absl::StrCat("cannot connect to ", address));
}

int BoundPort(const Socket& socket) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  return bound.ss_family == AF_INET6 ? ntohs(reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port)
                                     : ntohs(reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
}

bool WriteAll(const Socket& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace keystead::infra
