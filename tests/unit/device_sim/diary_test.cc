// What a device without a home keeps: bounded, sealed, and gone after a reset.
#include "device-sim/diary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"

namespace keystead::device_sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kPlanted = "what the family watches at night";

template <class T>
T Must(absl::StatusOr<T> value) {
  EXPECT_TRUE(value.ok()) << value.status();
  return *std::move(value);
}

std::string NewFolder() {
  std::string path = ::testing::TempDir() + "diary-XXXXXX";
  return mkdtemp(path.data());
}

class DiaryTest : public ::testing::Test {
 protected:
  DiaryTest() : folder_(Must(StateFolder::Open(NewFolder()))) {}
  ~DiaryTest() override { std::filesystem::remove_all(folder_.path()); }

  absl::StatusOr<std::unique_ptr<Diary>> Try(size_t max_bytes = 1 << 20, bool forget = false) {
    return Diary::Open(folder_, "tv", max_bytes, forget);
  }
  std::unique_ptr<Diary> Open(size_t max_bytes = 1 << 20, bool forget = false) {
    return Must(Try(max_bytes, forget));
  }
  static std::vector<std::string> Texts(const Diary& diary, uint64_t damaged = 0) {
    std::vector<std::string> out;
    EXPECT_EQ(Must(diary.Read([&](ByteView text) { out.push_back(ToString(text)); })), damaged);
    return out;
  }
  static void Keep(Diary& diary, std::string_view text) {
    const absl::Status kept = diary.Keep(AsBytes(text));
    EXPECT_TRUE(kept.ok()) << kept;
  }
  // Everything in every file below the state folder.
  std::string Disk() const {
    std::string all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      all.append(std::istreambuf_iterator<char>(file), {});
    }
    return all;
  }
  std::string KeyText() const { return ToString(Must(folder_.Read("tv.diary")).ExposeSecret()); }

  StateFolder folder_;
};

TEST_F(DiaryTest, WhatWasKeptIsReadAgainInOrderOverStarts) {
  for (const std::string_view text : {"one", "two"}) {
    const auto diary = Open();
    Keep(*diary, text);
    Keep(*diary, absl::StrCat(Absl(text), " more"));
  }
  EXPECT_THAT(Texts(*Open()), ElementsAre("one", "one more", "two", "two more"));
}

TEST_F(DiaryTest, TheOldestGoWhenThereIsNoRoom) {
  constexpr size_t kBytes = 4096;
  auto diary = Open(kBytes);
  for (int i = 0; i < 2000; ++i) Keep(*diary, absl::StrCat(Absl(kPlanted), " ", i));
  EXPECT_LE(diary->stats().bytes, kBytes);
  EXPECT_EQ(diary->stats().kept + diary->stats().dropped, 2000u);
  const std::vector<std::string> texts = Texts(*diary);
  ASSERT_GT(texts.size(), 10u);
  EXPECT_EQ(texts.back(), absl::StrCat(Absl(kPlanted), " 1999"));
  diary.reset();
  EXPECT_EQ(Texts(*Open(kBytes)), texts);
  EXPECT_EQ(Open(kBytes)->stats().kept, texts.size());
  EXPECT_FALSE(Open(kBytes)->Keep(Bytes(kBytes)).ok());
}

TEST_F(DiaryTest, TheDiskStaysBoundedHoweverMuchIsKept) {
  constexpr size_t kAll = 40 << 20;
  constexpr size_t kRecord = 16 << 10;
  const auto diary = Open(64 << 10);
  const std::string text(kRecord, 'x');
  for (size_t written = 0; written < kAll; written += kRecord) Keep(*diary, text);
  EXPECT_LT(Disk().size(), size_t{16} << 20);
  EXPECT_EQ(diary->stats().kept, 3u);
}

TEST_F(DiaryTest, NothingOnTheDiskShowsWhatWasKept) {
  auto diary = Open();
  for (int i = 0; i < 50; ++i) Keep(*diary, kPlanted);
  EXPECT_TRUE(diary->Sync().ok());
  diary.reset();
  EXPECT_EQ(Disk().find(kPlanted), std::string::npos);
  EXPECT_EQ(Texts(*Open()).size(), 50u);
}

TEST_F(DiaryTest, AResetLeavesNeitherKeyNorRecords) {
  auto diary = Open();
  Keep(*diary, kPlanted);
  diary.reset();
  const std::string key = KeyText();
  const std::string secret = key.substr(key.size() - 32);
  ASSERT_NE(Disk().find(secret), std::string::npos);
  EXPECT_TRUE(Texts(*Open(1 << 20, true)).empty());
  EXPECT_EQ(Disk().find(secret), std::string::npos);
  size_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    folders += entry.is_directory();
  EXPECT_EQ(folders, 1u);  // the new one
}

TEST_F(DiaryTest, AResetThatWasCutShortIsFinishedAtTheNextStart) {
  auto diary = Open();
  Keep(*diary, kPlanted);
  diary.reset();
  std::filesystem::path records;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    if (entry.is_directory()) records = entry.path();
  std::filesystem::copy(records, folder_.path() + "/copy", std::filesystem::copy_options::recursive);
  Open(1 << 20, true).reset();
  std::filesystem::rename(folder_.path() + "/copy",
                          records);  // as the loss of power before the removal leaves it
  EXPECT_TRUE(Texts(*Open()).empty());
  EXPECT_FALSE(std::filesystem::exists(records));
}

TEST_F(DiaryTest, RecordsOfAnotherDeviceAndSpoiltOnesAreCountedNotBelieved) {
  auto diary = Open();
  Keep(*diary, "mine");
  diary.reset();
  std::filesystem::path records;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    if (entry.is_directory()) records = entry.path();
  const StateFolder other = Must(StateFolder::Open(NewFolder()));
  auto theirs = Must(Diary::Open(other, "tv", 1 << 20, false));
  theirs.reset();
  for (const auto& entry : std::filesystem::directory_iterator(other.path())) {
    if (!entry.is_directory()) continue;
    std::filesystem::remove_all(entry.path());
    std::filesystem::copy(records, entry.path(), std::filesystem::copy_options::recursive);
  }
  EXPECT_TRUE(Texts(*Must(Diary::Open(other, "tv", 1 << 20, false)), 1).empty());
  std::filesystem::remove_all(other.path());
}

TEST_F(DiaryTest, AMissingOrDamagedKeyStopsTheStartAndAResetHelps) {
  Keep(*Open(), "kept");
  const std::string path = folder_.PathOf("tv.diary");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_THAT(std::string(Std(Try().status().message())),
              HasSubstr("is damaged: restore it from a copy, or start with --reset"));
  std::filesystem::remove(path);
  EXPECT_THAT(std::string(Std(Try().status().message())),
              HasSubstr("is missing: restore it from a copy, or start with --reset"));
  EXPECT_TRUE(Try(1 << 20, true).ok());
}

TEST_F(DiaryTest, ForgettingLeavesNothing) {
  Keep(*Open(), "kept");
  EXPECT_TRUE(ForgetDiary(folder_, "tv").ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  EXPECT_TRUE(ForgetDiary(folder_, "tv").ok());
}

}  // namespace
}  // namespace keystead::device_sim
