#include "core/base/bytes.h"

#include "gtest/gtest.h"

namespace keystead {
namespace {

TEST(BytesTest, HexOfEveryByteReadsBackInBothCases) {
  Bytes all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<uint8_t>(i));
  const std::string hex = ToHex(all);
  EXPECT_EQ(hex.size(), 512u);
  EXPECT_EQ(hex.substr(0, 8), "00010203");
  EXPECT_EQ(hex.substr(508), "feff");
  ASSERT_TRUE(FromHex(hex).ok());
  EXPECT_EQ(*FromHex(hex), all);
  std::string upper = hex;
  for (char& c : upper) c = static_cast<char>(toupper(c));
  ASSERT_TRUE(FromHex(upper).ok());
  EXPECT_EQ(*FromHex(upper), all);
}

TEST(BytesTest, EmptyHexIsNoBytes) {
  ASSERT_TRUE(FromHex("").ok());
  EXPECT_TRUE(FromHex("")->empty());
  EXPECT_EQ(ToHex({}), "");
}

TEST(BytesTest, HexRefusesOddLengthAndForeignCharacters) {
  using std::string_view_literals::operator""sv;
  for (std::string_view bad : {"0"sv, "abc"sv, "0g"sv, "g0"sv, " 0"sv, "0x"sv, "-1"sv, "/0"sv, ":0"sv, "@0"sv,
                               "`0"sv, "00\n1"sv, "0\0"sv, "\xc3\xa9"sv, "00 00 "sv}) {
    EXPECT_EQ(FromHex(bad).status().code(), absl::StatusCode::kInvalidArgument) << ToHex(AsBytes(bad));
  }
}

TEST(BytesTest, EqualNeedsSameLengthAndSameBytes) {
  EXPECT_TRUE(Equal({}, {}));
  EXPECT_TRUE(Equal(AsBytes("abc"), AsBytes("abc")));
  EXPECT_FALSE(Equal(AsBytes("abc"), AsBytes("abd")));
  EXPECT_FALSE(Equal(AsBytes("abc"), AsBytes("ab")));
  EXPECT_FALSE(Equal(AsBytes("ab"), AsBytes("abc")));
  EXPECT_FALSE(Equal({}, AsBytes("a")));
}

TEST(BytesTest, ConversionsKeepZerosAndHighBytes) {
  const std::string text("a\0\xff", 3);
  const Bytes bytes = ToBytes(text);
  EXPECT_EQ(bytes, (Bytes{'a', 0, 0xff}));
  EXPECT_EQ(ToString(bytes), text);
  EXPECT_EQ(AsChars(AsBytes(text)), text);
  EXPECT_EQ(Std(Absl(text)), text);
  Bytes joined = ToBytes(std::string_view("x"));
  Append(joined, bytes);
  Append(joined, {});
  EXPECT_EQ(joined, (Bytes{'x', 'a', 0, 0xff}));
}

}  // namespace
}  // namespace keystead
