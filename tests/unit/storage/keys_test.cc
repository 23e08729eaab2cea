#include "core/storage/keys.h"

#include <limits>

#include "gtest/gtest.h"

namespace keystead::storage {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(KeysTest, BytewiseOrderIsNumericOrder) {
  EXPECT_LT(EntryKey({1, 2}, 255).view(), EntryKey({1, 2}, 256).view());
  EXPECT_LT(EntryKey({1, 2}, kMax).view(), EntryKey({1, 3}, 0).view());
  EXPECT_LT(EntryKey({1, kMax}, kMax).view(), EntryKey({2, 0}, 0).view());
  EXPECT_LT(BoundsKey({1, kMax}), RowKey(1, Table{0}, ""));
  EXPECT_LT(RowKey(1, Table{255}, "\xff\xff"), TenantEndKey(1));
}

TEST(KeysTest, EveryKeyBeginsWithItsTenant) {
  const std::string tenant = TenantKey(0x01020304);
  EXPECT_EQ(tenant, std::string("\x01\x02\x03\x04"));
  EXPECT_TRUE(EntryKey({0x01020304, 5}, 6).view().starts_with(tenant));
  EXPECT_TRUE(BoundsKey({0x01020304, 5}).starts_with(tenant));
  EXPECT_TRUE(RowKey(0x01020304, Table{1}, "k").starts_with(tenant));
}

TEST(KeysTest, DecodingUndoesEncoding) {
  const auto entry = DecodeEntryKey(EntryKey({7, 8}, 9).view());
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->log, (LogRef{7, 8}));
  EXPECT_EQ(entry->offset, 9u);
  EXPECT_EQ(DecodeBounds(EncodeBounds({3, 5})), (Bounds{3, 5}));
  EXPECT_EQ(DecodeBoundsKey(BoundsKey({7, 8})), (LogRef{7, 8}));
}

TEST(KeysTest, DecodingRefusesOtherBytes) {
  const std::string entry(EntryKey({7, 8}, 9).view());
  EXPECT_FALSE(DecodeEntryKey(entry.substr(1)));
  EXPECT_FALSE(DecodeEntryKey(entry + "x"));
  EXPECT_FALSE(DecodeBounds(EncodeBounds({3, 5}).substr(1)));
  EXPECT_FALSE(DecodeBounds(EncodeBounds({6, 5})));
  EXPECT_FALSE(DecodeBoundsKey(RowKey(7, Table{1}, "12345678")));
  EXPECT_FALSE(DecodeBoundsKey(RowKey(7, Table{0}, "1234567")));
}

TEST(KeysTest, PrefixEndIsTheNextPrefix) {
  EXPECT_EQ(PrefixEnd("ab"), "ac");
  EXPECT_EQ(PrefixEnd("a\xff"), "b");
  EXPECT_EQ(PrefixEnd("\xff\xff"), "");
  EXPECT_EQ(LogEndKey({1, 1}), EntryKey({1, 2}, 0).view().substr(0, kLogPrefixBytes));
}

}  // namespace
}  // namespace keystead::storage
