#include "core/transport/listeners.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace keystead {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(20);

bool Connects(const char* address, int port) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(static_cast<uint16_t>(port));
  const bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
  if (!is_v4) inet_pton(AF_INET6, address, &v6.sin6_addr);
  const FileDescriptor fd(socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), is_v4 ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6),
                 is_v4 ? sizeof(v4) : sizeof(v6)) == 0;
}

TEST(ListenersTest, TheSystemChoosesOnePortForAll) {
  const auto listeners = Listen("127.0.0.1,[::1]", "0", kTimeout);
  ASSERT_TRUE(listeners.ok()) << listeners.status();
  EXPECT_EQ(listeners->sockets.size(), 2u);
  EXPECT_TRUE(Connects("127.0.0.1", listeners->port));
  EXPECT_TRUE(Connects("::1", listeners->port));
}

TEST(ListenersTest, OneAddressIsNotTheOther) {
  const auto listeners = Listen("127.0.0.1", "0", kTimeout);
  ASSERT_TRUE(listeners.ok());
  EXPECT_TRUE(Connects("127.0.0.1", listeners->port));
  EXPECT_FALSE(Connects("::1", listeners->port));
}

TEST(ListenersTest, EverywhereIsBothFamilies) {
  for (const char* host : {"0.0.0.0", "[::]"}) {
    const auto listeners = Listen(host, "0", kTimeout);
    ASSERT_TRUE(listeners.ok()) << listeners.status();
    EXPECT_TRUE(Connects("127.0.0.1", listeners->port)) << host;
    EXPECT_TRUE(Connects("::1", listeners->port)) << host;
  }
}

TEST(ListenersTest, WhatIsTakenIsSaidAlsoOfTheSecondAddress) {
  const auto first = Listen("[::1]", "0", kTimeout);
  ASSERT_TRUE(first.ok());
  for (const char* host : {"[::1]", "127.0.0.1,[::1]", "[::]"}) {
    const absl::Status status = Listen(host, absl::StrCat(first->port), kTimeout).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << host;
    EXPECT_NE(status.message().find("the port is taken"), absl::string_view::npos) << status;
  }
}

TEST(ListenersTest, WhatIsNoAddressOrPortIsSaid) {
  for (const auto& [host, port] : {std::pair("127.0.0.1", "65536"), std::pair("127.0.0.1", "many"),
                                   std::pair("no such host", "1"), std::pair("127.0.0.1,", "0")}) {
    const absl::Status status = Listen(host, port, kTimeout).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << host << port;
    EXPECT_NE(status.message().find("host or port is not known"), absl::string_view::npos) << status;
  }
}

// As gRPC's own connections would be: nothing waits for more to send, and nobody else gets the file.
TEST(ListenersTest, WhatIsAcceptedHasWhatTheListenerHas) {
  const auto listeners = Listen("127.0.0.1", "0", kTimeout);
  ASSERT_TRUE(listeners.ok());
  const int fd = listeners->sockets[0].get();
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  int value = 0;
  socklen_t size = sizeof(value);
  ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
  EXPECT_EQ(value, 1);
  ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size), 0);
  EXPECT_EQ(value, 20000);
}

}  // namespace
}  // namespace keystead
