#include "core/transport/source_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace keystead {
namespace {

AddressRange Range(std::string_view text) {
  const absl::StatusOr<AddressRange> range = AddressRange::Parse(text);
  EXPECT_TRUE(range.ok()) << range.status();
  return range.value_or(AddressRange());
}

AddressRange Peer(const char* text, int v4_prefix = 32, int v6_prefix = 64) {
  sockaddr_storage address{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    std::memcpy(&address, &v4, sizeof(v4));
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
    v6.sin6_family = AF_INET6;
    std::memcpy(&address, &v6, sizeof(v6));
  }
  return AddressRange::Of(reinterpret_cast<const sockaddr&>(address), v4_prefix, v6_prefix);
}

TEST(SourceAddressTest, AnIpv4AddressIsOneSourceAndAnIpv6NetworkIs) {
  EXPECT_EQ(Peer("192.0.2.7").str(), "192.0.2.7");
  EXPECT_FALSE(Peer("192.0.2.7") == Peer("192.0.2.8"));
  EXPECT_EQ(Peer("2001:db8::1").str(), "2001:db8::/64");
  EXPECT_TRUE(Peer("2001:db8::1") == Peer("2001:db8::ffff:2"));
  EXPECT_FALSE(Peer("2001:db8::1") == Peer("2001:db8:0:1::1"));
}

TEST(SourceAddressTest, PrefixesAreChosen) {
  EXPECT_EQ(Peer("192.0.2.7", 24).str(), "192.0.2.0/24");
  EXPECT_EQ(Peer("2001:db8:1:2::1", 32, 48).str(), "2001:db8:1::/48");
  EXPECT_EQ(Peer("2001:db8:1:2::1", 32, 128).str(), "2001:db8:1:2::1");
}

// What a dual-stack socket sees is the same peer.
TEST(SourceAddressTest, AMappedAddressIsTheIpv4Address) {
  EXPECT_TRUE(Peer("::ffff:192.0.2.7") == Peer("192.0.2.7"));
  EXPECT_FALSE(Peer("::ffff:192.0.2.7") == Peer("::ffff:192.0.2.8"));
}

TEST(SourceAddressTest, AnotherFamilyIsOneSource) {
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  path.sun_path[0] = 'x';
  EXPECT_EQ(AddressRange::Of(reinterpret_cast<const sockaddr&>(path), 32, 64).str(), "::/64");
}

TEST(SourceAddressTest, NetworksContainWhatIsInThem) {
  EXPECT_TRUE(Range("192.0.2.0/24").Contains(Peer("192.0.2.200")));
  EXPECT_FALSE(Range("192.0.2.0/24").Contains(Peer("192.0.3.1")));
  EXPECT_TRUE(Range("192.0.2.7").Contains(Peer("192.0.2.7")));
  EXPECT_TRUE(Range("2001:db8::/32").Contains(Peer("2001:db8:5::1")));
  EXPECT_FALSE(Range("2001:db8::1").Contains(Peer("2001:db8::1")));  // the source is the whole /64
  EXPECT_TRUE(Range("0.0.0.0/0").Contains(Peer("203.0.113.9")));
  EXPECT_FALSE(Range("0.0.0.0/0").Contains(Peer("2001:db8::1")));
}

TEST(SourceAddressTest, WhatIsNoNetworkIsRefused) {
  for (const char* text : {"", "/", "192.0.2", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "::/129", "host",
                           "::1/x", "192.0.2.7/24", "2001:db8::1/64", "192.0.2.0/24/24"}) {
    EXPECT_EQ(AddressRange::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  for (const char* text : {"192.0.2.0/24", "192.0.2.7", "::1", "2001:db8::/32", "::/0"})
    EXPECT_EQ(Range(text).str(), text);
}

}  // namespace
}  // namespace keystead
