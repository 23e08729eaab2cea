#include "tests/load/hello.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"

namespace keystead::load {
namespace {

constexpr int kPatienceMs = 5000;
constexpr size_t kMaxHello = 16 << 10;  // one TLS record (RFC 8446, section 5.1)
constexpr size_t kRecordHeader = 5;     // its type, version and length

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  bool WaitFor(short what) const {
    pollfd poll_for{fd_, what, 0};
    return poll(&poll_for, 1, kPatienceMs) == 1;
  }

 private:
  const int fd_;
};

absl::Status Failed(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::StatusOr<std::string> ReadRecord(const Socket& from) {
  std::string out;
  size_t whole = kRecordHeader;
  while (out.size() < whole) {
    char buffer[kMaxHello];
    if (!from.WaitFor(POLLIN)) return absl::DeadlineExceededError("no hello came");
    const ssize_t read = recv(from.fd(), buffer, sizeof buffer, 0);
    if (read <= 0) return absl::UnavailableError("no whole hello came");
    out.append(buffer, static_cast<size_t>(read));
    if (out.size() < kRecordHeader) continue;
    whole = kRecordHeader + (static_cast<size_t>(static_cast<uint8_t>(out[3])) << 8) +
            static_cast<uint8_t>(out[4]);
    if (whole > kMaxHello) return absl::InternalError("that is no hello");
  }
  return out.substr(0, whole);
}

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};

absl::StatusOr<Address> Resolve(const std::string& address) {
  const size_t colon = address.rfind(':');
  const absl::Status unknown = absl::NotFoundError(absl::StrCat(address, ": no such address"));
  if (colon == std::string::npos) return unknown;
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &wanted, &found) != 0) return unknown;
  Address out;
  std::memcpy(&out.bytes, found->ai_addr, found->ai_addrlen);
  out.size = found->ai_addrlen;
  freeaddrinfo(found);
  return out;
}

}  // namespace

absl::StatusOr<std::string> ClientHelloOf(const Target& target, const Identity& identity) {
  const Socket listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof here;
  auto* const name = reinterpret_cast<sockaddr*>(&here);
  if (listener.fd() < 0 || bind(listener.fd(), name, size) != 0 || listen(listener.fd(), 1) != 0 ||
      getsockname(listener.fd(), name, &size) != 0) {
    return Failed("listening");
  }
  Target ours = target;
  ours.address = absl::StrCat("127.0.0.1:", ntohs(here.sin_port));
  KS_ASSIGN_OR_RETURN(const auto channel, DialAs(ours, identity));
  channel->GetState(true);
  if (!listener.WaitFor(POLLIN)) return absl::DeadlineExceededError("gRPC does not connect");
  const Socket client(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (client.fd() < 0) return Failed("accepting");
  return ReadRecord(client);
}

absl::Status SayHello(const std::string& address, const std::string& hello) {
  KS_ASSIGN_OR_RETURN(const Address there, Resolve(address));
  const Socket socket_to(socket(there.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const linger drop{1, 0};  // with a reset, so that no port stays behind in TIME_WAIT
  if (socket_to.fd() < 0 || setsockopt(socket_to.fd(), SOL_SOCKET, SO_LINGER, &drop, sizeof drop) != 0 ||
      connect(socket_to.fd(), there.get(), there.size) != 0) {
    return Failed("connecting");
  }
  if (send(socket_to.fd(), hello.data(), hello.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(hello.size()))
    return Failed("saying hello");
  if (!socket_to.WaitFor(POLLIN)) return absl::DeadlineExceededError("no answer");
  char first = 0;
  if (recv(socket_to.fd(), &first, 1, 0) == 1) return absl::OkStatus();
  return absl::UnavailableError("the server closed the connection");
}

}  // namespace keystead::load
