#include "core/cose/cbor.h"

#include <gtest/gtest.h>

namespace keystead::cose {
namespace {

Bytes Hex(std::string_view hex) { return FromHex(hex).value(); }

TEST(CborWriterTest, WritesTheShortestForm) {  // RFC 8949, appendix A
  const auto uint_hex = [](uint64_t value) {
    CborWriter w;
    return ToHex(w.Uint(value).bytes());
  };
  EXPECT_EQ(uint_hex(0), "00");
  EXPECT_EQ(uint_hex(23), "17");
  EXPECT_EQ(uint_hex(24), "1818");
  EXPECT_EQ(uint_hex(255), "18ff");
  EXPECT_EQ(uint_hex(256), "190100");
  EXPECT_EQ(uint_hex(65535), "19ffff");
  EXPECT_EQ(uint_hex(65536), "1a00010000");
  EXPECT_EQ(uint_hex(4294967295), "1affffffff");
  EXPECT_EQ(uint_hex(4294967296), "1b0000000100000000");
  EXPECT_EQ(uint_hex(UINT64_MAX), "1bffffffffffffffff");
  EXPECT_EQ(ToHex(EncodeArray(-1, -24, -25, -1000, INT64_MIN)),
            "8520373818"
            "3903e7"
            "3b7fffffffffffffff");
}

TEST(CborWriterTest, EncodeArrayMapsTypes) {
  const StreamId id(std::array<uint8_t, 16>{1});
  EXPECT_EQ(ToHex(EncodeArray("a", std::string("b"), Bytes{1}, true, false, nullptr, std::nullopt,
                              std::optional<int>(), std::optional<int>(3), id)),
            "8a616161624101f5f4f6f6f6035001000000000000000000000000000000");
}

TEST(CborMapTest, SortsByEncodedKey) {
  EXPECT_EQ(ToHex(CborMap().Set(-1, 1).Set(24, 2).Set(0, 3).Set(-1, 4).Encode()),
            "a30003181802"
            "2004");
}

TEST(CborReaderTest, ReadsWhatWasWritten) {
  const Bytes encoded = EncodeArray(1, -2, Bytes{3}, "ä", true, nullptr);
  CborReader reader(encoded);
  ASSERT_TRUE(reader.ReadArrayOf(6).ok());
  EXPECT_EQ(reader.ReadUint().value(), 1u);
  EXPECT_EQ(reader.ReadInt().value(), -2);
  EXPECT_EQ(ToBytes(reader.ReadBytes(1).value()), Bytes{3});
  EXPECT_EQ(reader.ReadText().value(), "ä");
  EXPECT_FALSE(reader.TryNull().value());
  EXPECT_TRUE(reader.ReadBool().value());
  EXPECT_FALSE(reader.Finish().ok()) << "one item is left";
}

TEST(CborReaderTest, ItemsInsideContainersAreViewsOfTheInput) {
  const Bytes encoded = Hex("82a201820203f6000418646162");
  const Bytes good = Hex("82a2018202030418641862");
  CborReader reader(good);
  ASSERT_TRUE(reader.ReadArrayOf(2).ok());
  EXPECT_EQ(ToHex(reader.ReadItem().value()), "a201820203041864");
  EXPECT_EQ(reader.ReadUint().value(), 0x62u);
  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_FALSE(ParseCbor(encoded).ok());
}

TEST(CborReaderTest, StaysFailedAfterAnError) {
  const Bytes encoded = EncodeArray(1, 2);
  CborReader reader(encoded);
  EXPECT_FALSE(reader.ReadText().ok());
  EXPECT_FALSE(reader.ReadArray().ok());
  EXPECT_FALSE(reader.Finish().ok());
}

TEST(CborReaderTest, ChecksKeyOrderAlsoWhenReadKeyByKey) {
  for (const char* bad : {"a220000100", "a201000100",
                          "a2181800"
                          "0100",
                          "a2616100"
                          "0100"}) {
    const Bytes encoded = Hex(bad);
    CborReader reader(encoded);
    ASSERT_TRUE(reader.ReadMapOf(2).ok());
    ASSERT_TRUE(reader.ReadItem().ok());
    ASSERT_TRUE(reader.ReadItem().ok());
    EXPECT_FALSE(reader.ReadItem().ok()) << bad;
  }
}

struct BadCase {
  const char* name;
  const char* hex;
};

TEST(CborReaderTest, RefusesEverythingThatIsNotDeterministic) {
  const BadCase cases[] = {
      {"empty", ""},
      {"one byte form of 23", "1817"},
      {"two byte form of 255", "1900ff"},
      {"four byte form of 65535", "1a0000ffff"},
      {"eight byte form of 2^32-1", "1b00000000ffffffff"},
      {"long negative", "3817"},
      {"long byte string head", "580100"},
      {"long array head", "980100"},
      {"indefinite bytes", "5f4101ff"},
      {"indefinite text", "7f6161ff"},
      {"indefinite array", "9f01ff"},
      {"indefinite map", "bf0101ff"},
      {"break alone", "ff"},
      {"reserved head", "1c"},
      {"half float", "f93c00"},
      {"single float", "fa3f800000"},
      {"double float", "fb3ff0000000000000"},
      {"undefined", "f7"},
      {"simple value", "e0"},
      {"simple value in two bytes", "f8ff"},
      {"false in two bytes", "f814"},
      {"tag", "c000"},
      {"unsorted keys", "a220000100"},
      {"duplicate keys", "a201000100"},
      {"longer key first",
       "a218180001"
       "00"},
      {"array as key", "a1800000"},
      {"null as key", "a1f600"},
      {"bool as key", "a1f500"},
      {"trailing byte", "0000"},
      {"truncated head", "19ff"},
      {"truncated bytes", "420a"},
      {"truncated array", "8201"},
      {"map without value", "a101"},
      {"array count beyond input", "9b7fffffffffffffff"},
      {"map count beyond input", "bbffffffffffffffff"},
      {"bytes count beyond input", "5bffffffffffffffff"},
      {"invalid UTF-8", "61ff"},
      {"overlong UTF-8", "62c080"},
      {"surrogate", "63eda080"},
      {"beyond U+10FFFF", "64f4908080"},
      {"cut UTF-8", "62c3"},
      {"cut UTF-8 inside", "61c3"},
      {"depth 9", "81818181818181818100"},
  };
  for (const BadCase& c : cases) {
    const Bytes input = Hex(c.hex);
    EXPECT_EQ(ParseCbor(input).status().code(), absl::StatusCode::kInvalidArgument) << c.name;
    CborReader reader(input);
    EXPECT_FALSE(reader.ReadItem().ok() && reader.Finish().ok()) << c.name;
  }
  EXPECT_TRUE(ParseCbor(Hex("818181818181818100")).ok()) << "depth 8";
  EXPECT_TRUE(ParseCbor(Hex("64f48fbfbf")).ok()) << "U+10FFFF";
}

TEST(CborReaderTest, LimitsItems) {
  Bytes encoded;
  CborWriter w(encoded);
  w.Array(10);
  for (int i = 0; i < 10; ++i) w.Null();
  EXPECT_TRUE(ParseCbor(encoded, {.max_items = 11}).ok());
  EXPECT_FALSE(ParseCbor(encoded, {.max_items = 10}).ok());
}

TEST(CborReaderTest, IntegersThatDoNotFitAreRefused) {
  const Bytes most = Hex("1b8000000000000000");
  CborReader reader(most);
  EXPECT_FALSE(reader.ReadInt().ok());
  const Bytes least = Hex("3b7fffffffffffffff");
  CborReader negative(least);
  EXPECT_EQ(negative.ReadInt().value(), INT64_MIN);
}

TEST(CborReaderTest, LenientTakesTagsOrderAndLongHeads) {
  for (const char* input : {"d28101", "a220000100", "1817"}) {
    EXPECT_TRUE(ParseCbor(Hex(input), {.lenient = true}).ok()) << input;
  }
  for (const char* input :
       {"a201000100", "a20100180100", "9f01ff", "f93c00", "0000", "c0c0c0c0c0c0c0c0c000"}) {
    EXPECT_FALSE(ParseCbor(Hex(input), {.lenient = true}).ok()) << input;
  }
}

}  // namespace
}  // namespace keystead::cose
