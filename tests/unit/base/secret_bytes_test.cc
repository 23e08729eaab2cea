#include "core/base/secret_bytes.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <ostream>
#include <type_traits>

#include "gtest/gtest.h"

// This binary watches every array it frees: whoever frees one that still holds the canary did not wipe.
namespace {

constexpr uint8_t kCanary[] = {0xc5, 0x1a, 0x93, 0x7e, 0x04, 0xd8, 0x6b, 0xf2};
constexpr size_t kHeader = alignof(std::max_align_t);
int g_dirty_frees = 0;    // arrays freed with the canary in them
int g_watched_frees = 0;  // arrays freed that are as large as the canary

void FreeWatched(void* data) {
  if (data == nullptr) return;
  char* const block = static_cast<char*>(data) - kHeader;
  size_t size = 0;
  memcpy(&size, block, sizeof(size));
  if (size == 4 * sizeof(kCanary)) ++g_watched_frees;
  if (memmem(data, size, kCanary, sizeof(kCanary)) != nullptr) ++g_dirty_frees;
  std::free(block);
}

}  // namespace

void* operator new[](size_t size) {
  char* const block = static_cast<char*>(std::malloc(size + kHeader));
  if (block == nullptr) std::abort();
  memcpy(block, &size, sizeof(size));
  return block + kHeader;
}
void operator delete[](void* data) noexcept { FreeWatched(data); }
void operator delete[](void* data, size_t) noexcept { FreeWatched(data); }

namespace keystead {
namespace {

static_assert(!std::is_copy_constructible_v<SecretBytes>);
static_assert(!std::is_copy_assignable_v<SecretBytes>);
static_assert(std::is_nothrow_move_constructible_v<SecretBytes>);
static_assert(!std::is_convertible_v<SecretBytes, ByteView>);
static_assert(!std::is_convertible_v<Bytes, SecretBytes>);
static_assert(!std::is_convertible_v<size_t, SecretBytes>);
template <class T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};
static_assert(!Streamable<SecretBytes>);
template <class T>
concept Comparable = requires(const T& a, const T& b) {
  a == b;
};
static_assert(!Comparable<SecretBytes>);

class SecretBytesTest : public ::testing::Test {
 protected:
  void SetUp() override { g_dirty_frees = g_watched_frees = 0; }

  static SecretBytes Marked() {  // four canaries long
    SecretBytes secret(4 * sizeof(kCanary));
    for (size_t i = 0; i < secret.size(); ++i) secret.MutableSecret()[i] = kCanary[i % sizeof(kCanary)];
    return secret;
  }
};

TEST_F(SecretBytesTest, TheWatchSeesAnArrayThatWasNotWiped) {
  auto* const plain = new uint8_t[4 * sizeof(kCanary)];
  memcpy(plain, kCanary, sizeof(kCanary));
  static_cast<volatile uint8_t*>(plain)[31] = 1;
  delete[] plain;
  EXPECT_EQ(g_dirty_frees, 1);
  EXPECT_EQ(g_watched_frees, 1);
}

TEST_F(SecretBytesTest, DestructionWipes) {
  { const SecretBytes secret = Marked(); }
  EXPECT_EQ(g_watched_frees, 1);
  EXPECT_EQ(g_dirty_frees, 0);
}

TEST_F(SecretBytesTest, AssignmentWipesWhatItReplaces) {
  SecretBytes secret = Marked();
  secret = SecretBytes(3);
  EXPECT_EQ(g_watched_frees, 1);
  EXPECT_EQ(g_dirty_frees, 0);
  EXPECT_EQ(secret.size(), 3u);
}

TEST_F(SecretBytesTest, WipeEmptiesAndMayBeRepeated) {
  SecretBytes secret = Marked();
  secret.Wipe();
  EXPECT_TRUE(secret.empty());
  EXPECT_EQ(secret.ExposeSecret().data(), nullptr);
  secret.Wipe();
  EXPECT_EQ(g_watched_frees, 1);
  EXPECT_EQ(g_dirty_frees, 0);
}

TEST_F(SecretBytesTest, CloneAndSliceOwnTheirBytesAndWipeThem) {
  {
    const SecretBytes secret = Marked();
    SecretBytes clone = secret.Clone();
    EXPECT_TRUE(clone.ConstantTimeEquals(secret));
    clone.MutableSecret()[0] ^= 1;
    EXPECT_FALSE(clone.ConstantTimeEquals(secret));
    const SecretBytes slice = secret.Slice(8, 8);
    EXPECT_TRUE(Equal(slice.ExposeSecret(), ByteView(kCanary)));
    EXPECT_NE(slice.ExposeSecret().data(), secret.ExposeSecret().data() + 8);
  }
  EXPECT_EQ(g_watched_frees, 2);
  EXPECT_EQ(g_dirty_frees, 0);
}

TEST_F(SecretBytesTest, MovingLeavesTheSourceEmpty) {
  SecretBytes from = Marked();
  const uint8_t* const where = from.ExposeSecret().data();
  SecretBytes to(std::move(from));
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): the header promises this state
  EXPECT_EQ(from.ExposeSecret().size(), 0u);
  EXPECT_EQ(to.ExposeSecret().data(), where);  // moved, not copied: no second place to wipe
  SecretBytes assigned;
  assigned = std::move(to);
  EXPECT_TRUE(to.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(assigned.size(), 4 * sizeof(kCanary));
  EXPECT_EQ(g_watched_frees, 0);
}

TEST_F(SecretBytesTest, SelfMoveKeepsTheSecret) {
  SecretBytes secret = Marked();
  SecretBytes& alias = secret;
  secret = std::move(alias);
  EXPECT_EQ(secret.size(), 4 * sizeof(kCanary));
  EXPECT_TRUE(secret.ConstantTimeEquals(Marked()));
}

TEST_F(SecretBytesTest, NewSecretIsZeroAndFillable) {
  SecretBytes secret(5);
  EXPECT_EQ(ToHex(secret.ExposeSecret()), "0000000000");
  secret.MutableSecret()[4] = 9;
  EXPECT_EQ(ToHex(secret.ExposeSecret()), "0000000009");
  EXPECT_TRUE(SecretBytes().empty());
  EXPECT_TRUE(SecretBytes::CopyOf({}).empty());
  EXPECT_TRUE(SecretBytes().Clone().empty());
}

TEST_F(SecretBytesTest, SliceReachesExactlyToTheEnd) {
  const SecretBytes secret = Marked();
  EXPECT_EQ(secret.Slice(0, 32).size(), 32u);
  EXPECT_EQ(secret.Slice(32, 0).size(), 0u);
  EXPECT_EQ(secret.Slice(31, 1).size(), 1u);
}

TEST(SecretBytesDeathTest, SliceNeverReadsPastTheEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const SecretBytes secret(8);
  EXPECT_DEATH(secret.Slice(0, 9), "");
  EXPECT_DEATH(secret.Slice(9, 0), "");
  EXPECT_DEATH(secret.Slice(1, SIZE_MAX), "");  // the sum overflows to 0
}

TEST(ConstantTimeEqualsTest, ComparesEveryByteAndTheLength) {
  Bytes a(32, 0xaa);
  EXPECT_TRUE(ConstantTimeEquals({}, {}));
  EXPECT_TRUE(ConstantTimeEquals(a, Bytes(32, 0xaa)));
  EXPECT_FALSE(ConstantTimeEquals(a, Bytes(31, 0xaa)));
  EXPECT_FALSE(ConstantTimeEquals(a, {}));
  for (size_t i = 0; i < a.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes b = a;
      b[i] = static_cast<uint8_t>(b[i] ^ (1 << bit));
      EXPECT_FALSE(ConstantTimeEquals(a, b)) << i << "/" << bit;
    }
  }
}

TEST(SecureWipeTest, ZeroesExactlyItsRange) {
  uint8_t data[4] = {1, 2, 3, 4};
  SecureWipe(data + 1, 2);
  EXPECT_EQ(ToHex(data), "01000004");
  SecureWipe(nullptr, 0);
}

}  // namespace
}  // namespace keystead
