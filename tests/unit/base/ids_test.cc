#include "core/base/ids.h"

#include <type_traits>

#include "absl/container/flat_hash_set.h"
#include "gtest/gtest.h"

namespace keystead {
namespace {

constexpr std::string_view kHex = "000102030405060708090a0b0c0d0e0f";

// Ids of different kinds cannot stand for one another, and bytes do not become an id by accident.
static_assert(!std::is_convertible_v<MemberId, StreamId>);
static_assert(!std::is_constructible_v<MemberId, StreamId>);
static_assert(!std::is_assignable_v<MemberId&, InstantiationId>);
static_assert(!std::is_convertible_v<std::array<uint8_t, 16>, MemberId>);
static_assert(!std::is_convertible_v<std::string, TenantName>);

TEST(FixedBytesTest, RoundTripsThroughHexBytesAndText) {
  const auto id = MemberId::FromHex(kHex);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(id->ToHex(), kHex);
  EXPECT_EQ(id->Short(), kHex.substr(0, 8));
  EXPECT_EQ(id->ToString().size(), 16u);
  EXPECT_EQ(*MemberId::FromBytes(id->view()), *id);
  EXPECT_EQ(*MemberId::FromBytes(id->ToString()), *id);
  EXPECT_EQ(MemberId(id->array()), *id);
}

TEST(FixedBytesTest, RefusesEveryOtherLength) {
  for (size_t size = 0; size <= 40; ++size) {
    const Bytes bytes(size, 7);
    EXPECT_EQ(StreamId::FromBytes(bytes).ok(), size == 16) << size;
    EXPECT_EQ(Digest::FromBytes(bytes).ok(), size == 32) << size;
    EXPECT_EQ(StreamId::FromHex(std::string(size, 'a')).ok(), size == 32) << size;
  }
  EXPECT_EQ(StreamId::FromBytes(Bytes(15)).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(StreamId::FromBytes(Bytes(15)).status().message().find("stream id"), absl::string_view::npos);
}

TEST(FixedBytesTest, RefusesHexWithForeignCharacters) {
  std::string hex(kHex);
  hex[31] = 'g';
  EXPECT_EQ(MemberId::FromHex(hex).status().code(), absl::StatusCode::kInvalidArgument);
  hex[31] = '\n';
  EXPECT_FALSE(MemberId::FromHex(hex).ok());
}

TEST(FixedBytesTest, OrdersAndHashesByContent) {
  std::array<uint8_t, 16> low{}, high{};
  high[0] = 0x80;  // above any 7-bit value: the order is of unsigned bytes
  low[0] = 0x7f;
  EXPECT_LT(MemberId(low), MemberId(high));
  EXPECT_EQ(MemberId(), MemberId(std::array<uint8_t, 16>{}));
  absl::flat_hash_set<MemberId> set = {MemberId(low), MemberId(high), MemberId(low)};
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.contains(MemberId(high)));
  EXPECT_FALSE(set.contains(MemberId()));
}

TEST(TenantNameTest, AcceptsLowerCaseDnsNames) {
  const std::string label63(63, 'a');
  const std::string longest = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');
  ASSERT_EQ(longest.size(), 253u);
  for (const std::string& good : {std::string("a.b"), std::string("acme.keystead.example"),
                                  std::string("x--y.example"), std::string("0.a"), std::string("1st.2nd.3rd"),
                                  std::string("xn--bcher-kva.example"), label63 + ".example", longest}) {
    const auto name = TenantName::Parse(good);
    ASSERT_TRUE(name.ok()) << good << ": " << name.status();
    EXPECT_EQ(name->str(), good);
  }
}

TEST(TenantNameTest, RefusesEverythingElse) {
  const std::string label64(64, 'a');
  const std::string label63(63, 'a');
  const std::string too_long = label63 + "." + label63 + "." + label63 + "." + std::string(62, 'b');
  ASSERT_EQ(too_long.size(), 254u);
  for (const std::string& bad : {std::string(),
                                 std::string("a"),
                                 std::string("ab"),
                                 std::string("acme"),
                                 std::string(".acme"),
                                 std::string("acme."),
                                 std::string("a..b"),
                                 std::string("..."),
                                 std::string("Acme.example"),
                                 std::string("acme.exampl\xc3\xa9"),
                                 std::string("a_b.example"),
                                 std::string("-a.example"),
                                 std::string("a-.example"),
                                 std::string("a.example-"),
                                 std::string("a.-b"),
                                 std::string("a b.example"),
                                 std::string("a.example\n"),
                                 std::string("a.exa\0mple", 10),
                                 std::string("a.example/device"),
                                 std::string("a.example:443"),
                                 std::string("*.example"),
                                 std::string("a.example."),
                                 label64 + ".example",
                                 too_long,
                                 std::string(100000, 'a'),
                                 std::string("10.0.0.1"),
                                 std::string("a.7")}) {
    EXPECT_EQ(TenantName::Parse(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(TenantNameTest, RefusalsDoNotEchoTheInput) {
  EXPECT_EQ(TenantName::Parse("EVIL\ntext.example").status().message().find("EVIL"), absl::string_view::npos);
}

TEST(TenantNameTest, DefaultIsNoTenantAndDiffersFromAll) {
  EXPECT_EQ(TenantName().str(), "");
  EXPECT_NE(TenantName(), *TenantName::Parse("a.b"));
  EXPECT_LT(*TenantName::Parse("a.b"), *TenantName::Parse("a.c"));
}

}  // namespace
}  // namespace keystead
