#include "core/base/listen_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <unistd.h>

#include <array>
#include <set>
#include <string>

namespace keystead {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ListenAddressTest, IsReadByNumber) {
  struct Case {
    std::string text, address;
    int port;
    bool is_loopback;
  };
  for (const Case& one :
       {Case{"127.0.0.1:8080", "127.0.0.1", 8080, true}, Case{"127.9.9.9:0", "127.9.9.9", 0, true},
        Case{"localhost:65535", "127.0.0.1", 65535, true}, Case{"[::1]:1", "::1", 1, true},
        Case{"0.0.0.0:9464", "0.0.0.0", 9464, false}, Case{"[::]:0", "::", 0, false},
        Case{"10.1.2.3:80", "10.1.2.3", 80, false},
        Case{"[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, false}}) {
    const auto read = ParseListenAddress(one.text);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->address, one.address);
    EXPECT_EQ(read->port, one.port);
    EXPECT_EQ(read->is_loopback, one.is_loopback) << one.text;
  }
}

// As the resolver of this machine says it of the machine's own name, whatever that is.
TEST(ListenAddressTest, ANameIsLookedUp) {
  std::array<char, 256> name = {};
  ASSERT_EQ(gethostname(name.data(), name.size() - 1), 0);
  addrinfo wanted{};
  wanted.ai_flags = AI_PASSIVE;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const bool is_known = getaddrinfo(name.data(), nullptr, &wanted, &list) == 0;
  std::set<std::string> addresses;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text = {};
    ASSERT_EQ(
        getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST), 0);
    addresses.insert(text.data());
  }
  if (is_known) freeaddrinfo(list);
  if (std::string(name.data()) == "localhost") addresses = {"127.0.0.1"};
  const auto read = ParseListenAddress(std::string(name.data()) + ":80");
  if (addresses.size() == 1) {
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->address, *addresses.begin());
    EXPECT_EQ(read->port, 80);
  } else {
    EXPECT_THAT(std::string(read.status().message()),
                HasSubstr(is_known ? "several addresses" : "no such name"));
  }
}

TEST(ListenAddressTest, WhatIsWrongIsSaidWithWhatWasGiven) {
  for (const std::string text :
       {"", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", ":80",
        "::1:80", "[]:80", "[127.0.0.1:80", "127.0.0.1:80 "}) {
    const auto read = ParseListenAddress(text);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(read.status().message()), StartsWith(text + ": "));
  }
  EXPECT_THAT(std::string(ParseListenAddress("not a name:80").status().message()), HasSubstr("no such name"));
}

}  // namespace
}  // namespace keystead
