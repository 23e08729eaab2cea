#include "core/transport/listeners.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"

namespace keystead {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

std::string WhatToDo(int error) {
  switch (error) {
    case EADDRINUSE:
      return "the port is taken; end who has it, or choose another (port 0 lets the system choose)";
    case EADDRNOTAVAIL:
      return "the address is none of this machine's; use one that is, or 0.0.0.0 or [::] for all";
    case EACCES:
      return "ports below 1024 need a privilege; choose a higher one";
    default:
      return std::strerror(error);
  }
}

absl::Status Failed(int error) { return absl::UnavailableError(WhatToDo(error)); }

absl::StatusOr<Addresses> Resolve(const std::string& host, const std::string& port) {
  uint32_t number = 0;
  const absl::Status unknown =
      absl::UnavailableError("the host or port is not known; give an address and a number");
  if (absl::SimpleAtoi(port, &number) && number > 65535) return unknown;  // getaddrinfo would cut it
  addrinfo wanted{};
  wanted.ai_flags = AI_PASSIVE;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &wanted, &found) != 0) return unknown;
  return Addresses(found, &freeaddrinfo);
}

void SetPort(sockaddr_storage& address, int port) {
  // The port stands at one place in both families.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  const in_port_t value = htons(static_cast<uint16_t>(port));
  std::memcpy(reinterpret_cast<char*>(&address) + offsetof(sockaddr_in, sin_port), &value, sizeof(value));
}

int GetPort(const sockaddr_storage& address) {
  in_port_t port = 0;
  std::memcpy(&port, reinterpret_cast<const char*>(&address) + offsetof(sockaddr_in, sin_port), sizeof(port));
  return ntohs(port);
}

int PortOf(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0 ? GetPort(bound) : 0;
}

bool Set(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

// What is set here, an accepted connection has as well. The errno, or 0.
int ListenAt(const sockaddr_storage& address, socklen_t size, absl::Duration user_timeout,
             FileDescriptor& out) {
  FileDescriptor fd(socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  if (address.ss_family == AF_INET6 && !Set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0)) return errno;
  if (!Set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) || !Set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1) ||
      !Set(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT,
           static_cast<int>(absl::ToInt64Milliseconds(user_timeout))))
    return errno;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return errno;
  if (listen(fd.get(), SOMAXCONN) != 0) return errno;
  out = std::move(fd);
  return 0;
}

// Both families at one socket; where the machine has no IPv6, IPv4. The errno, or 0.
int ListenEverywhere(int port, absl::Duration user_timeout, FileDescriptor& out) {
  int error = 0;
  for (const int family : {AF_INET6, AF_INET}) {
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    SetPort(address, port);
    const size_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    error = ListenAt(address, static_cast<socklen_t>(size), user_timeout, out);
    if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL) break;
  }
  return error;
}

// Adds what belongs to one host. The first that is bound to port 0 decides the port of all.
absl::Status ListenAtHost(const std::string& host, const std::string& port, absl::Duration user_timeout,
                          Listeners& out) {
  std::string bare = host;
  if (bare.size() > 2 && bare.front() == '[' && bare.back() == ']') bare = bare.substr(1, bare.size() - 2);
  KS_ASSIGN_OR_RETURN(const Addresses found, Resolve(bare, port));
  const bool everywhere = bare == "0.0.0.0" || bare == "::";
  int last_error = EADDRNOTAVAIL;
  const size_t before = out.sockets.size();
  for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
    sockaddr_storage address{};
    std::memcpy(&address, at->ai_addr, at->ai_addrlen);
    if (out.port != 0) SetPort(address, out.port);
    FileDescriptor fd;
    const int error = everywhere ? ListenEverywhere(GetPort(address), user_timeout, fd)
                                 : ListenAt(address, at->ai_addrlen, user_timeout, fd);
    if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT) {
      last_error = error;
      continue;
    }
    if (error != 0) return Failed(error);
    out.port = PortOf(fd.get());
    out.sockets.push_back(std::move(fd));
  }
  return out.sockets.size() == before ? Failed(last_error) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<Listeners> Listen(const std::string& host, const std::string& port,
                                 absl::Duration user_timeout) {
  Listeners out;
  for (const absl::string_view one : absl::StrSplit(host, ',')) {
    KS_RETURN_IF_ERROR(ListenAtHost(std::string(one), port, user_timeout, out));
  }
  return out;
}

}  // namespace keystead
