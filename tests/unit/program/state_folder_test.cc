#include "core/program/state_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/program/files.h"

namespace keystead {
namespace {

using ::testing::HasSubstr;

class StateFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/keystead-state-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    base_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(base_); }
  std::string base_;
};

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

TEST_F(StateFolderTest, CreatesFolderForItsOwnerOnly) {
  const auto folder = StateFolder::Open(base_ + "/a/b");
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ(ModeOf(base_ + "/a/b"), 0700u);
}

TEST_F(StateFolderTest, RefusesFolderThatOthersMayRead) {
  std::filesystem::create_directory(base_ + "/open");
  chmod((base_ + "/open").c_str(), 0755);
  const auto folder = StateFolder::Open(base_ + "/open");
  EXPECT_EQ(folder.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(folder.status().message()), HasSubstr("chmod 700"));
}

TEST_F(StateFolderTest, RefusesFileInPlaceOfFolder) {
  std::ofstream(base_ + "/file") << "x";
  EXPECT_FALSE(StateFolder::Open(base_ + "/file").ok());
}

TEST_F(StateFolderTest, WritesWholeAndPrivately) {
  const auto folder = StateFolder::Open(base_ + "/s");
  ASSERT_TRUE(folder.ok());
  EXPECT_FALSE(folder->Has("member"));
  EXPECT_EQ(folder->Read("member").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(folder->Write("member", SecretBytes::CopyOf(AsBytes("first"))).ok());
  ASSERT_TRUE(folder->Write("member", SecretBytes::CopyOf(AsBytes("second"))).ok());
  const auto read = folder->Read("member");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(AsChars(read->ExposeSecret()), "second");
  EXPECT_EQ(ModeOf(folder->PathOf("member")), 0600u);
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder->path())) ++files;
  EXPECT_EQ(files, 1u) << "a temporary file was left behind";
  EXPECT_TRUE(folder->Remove("member").ok());
  EXPECT_TRUE(folder->Remove("member").ok());
  EXPECT_FALSE(folder->Has("member"));
}

TEST_F(StateFolderTest, LockIsHeldByOneAtATime) {
  const auto folder = StateFolder::Open(base_ + "/s");
  ASSERT_TRUE(folder.ok());
  {
    const auto first = folder->Acquire("lock", false);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(folder->Acquire("lock", false).status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_TRUE(folder->Acquire("lock", false).ok());
}

TEST_F(StateFolderTest, ReadFileHasALimit) {
  std::ofstream(base_ + "/big") << std::string(100, 'x');
  EXPECT_EQ(ReadFile(base_ + "/big", 99).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(ReadFile(base_ + "/big", 100).ok());
}

TEST_F(StateFolderTest, FailedWriteLeavesTheOldFile) {
  ASSERT_TRUE(WriteFileAtomically(base_ + "/f", "old").ok());
  EXPECT_FALSE(WriteFileAtomically(base_ + "/nowhere/f", "new").ok());
  EXPECT_EQ(*ReadFile(base_ + "/f", 10), "old");
}

// Files with a format line
// -----------------------------------------------------------------------------------------------------

constexpr StateFolder::Format kFormat{"ks-test", 3};

TEST_F(StateFolderTest, CheckedFilesReadBackAndEveryChangeIsNoticed) {
  const StateFolder folder = *StateFolder::Open(base_ + "/s");
  const SecretBytes content = SecretBytes::CopyOf(AsBytes(std::string_view("line\nand more")));
  ASSERT_TRUE(folder.WriteChecked("f", kFormat, content).ok());
  EXPECT_EQ(ModeOf(folder.PathOf("f")), 0600u);
  EXPECT_TRUE(folder.ReadChecked("f", kFormat)->ConstantTimeEquals(content));
  EXPECT_TRUE(absl::IsNotFound(folder.ReadChecked("none", kFormat).status()));
  const SecretBytes good = *folder.Read("f");
  const auto damaged = [&](const SecretBytes& bytes) {
    ASSERT_TRUE(folder.Write("f", bytes).ok());
    const absl::Status status = folder.ReadChecked("f", kFormat).status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(Std(status.message())), HasSubstr(folder.PathOf("f")));
  };
  for (size_t i = 0; i < good.size(); ++i) {
    damaged(good.Slice(0, i));
    SecretBytes flipped = good.Clone();
    flipped.MutableSecret()[i] ^= 1;
    damaged(flipped);
  }
  SecretBytes longer(good.size() + 1);
  std::ranges::copy(good.ExposeSecret(), longer.MutableSecret().begin());
  damaged(longer);
  ASSERT_TRUE(folder.WriteChecked("f", kFormat, SecretBytes()).ok());
  EXPECT_TRUE(folder.ReadChecked("f", kFormat)->empty());
}

TEST_F(StateFolderTest, AnotherVersionOrKindIsToldFromDamage) {
  const StateFolder folder = *StateFolder::Open(base_ + "/s");
  ASSERT_TRUE(folder.WriteChecked("f", {"ks-test", 4}, SecretBytes(3)).ok());
  const absl::Status version = folder.ReadChecked("f", kFormat).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(version));
  EXPECT_THAT(std::string(Std(version.message())),
              HasSubstr("format version 4; this program reads version 3"));
  ASSERT_TRUE(folder.WriteChecked("f", {"ks-other", 3}, SecretBytes(3)).ok());
  EXPECT_TRUE(absl::IsDataLoss(folder.ReadChecked("f", kFormat).status()));
}

}  // namespace
}  // namespace keystead
