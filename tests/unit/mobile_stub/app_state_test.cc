#include "mobile-stub/app_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "mobile-stub/membership.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using keystead::testing::ReadAll;
using keystead::testing::WriteAll;
using ::testing::HasSubstr;
using testing::Home;
using testing::Must;

class AppStateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = home_.NewDevice("a");
    home_.Pair({device_.get()});
  }
  AppState State() { return Must(AppState::Open(home_.state_folder())); }
  std::string File(const std::string& name) { return home_.state_folder() + "/" + name; }

  Home home_;
  std::unique_ptr<testing::TestDevice> device_;
};

TEST_F(AppStateTest, FilesAndFolderAreForTheirOwnerOnly) {
  for (const auto& file : std::filesystem::directory_iterator(home_.state_folder())) {
    struct stat info {};
    ASSERT_EQ(stat(file.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << file.path();
  }
  ASSERT_EQ(chmod(home_.state_folder().c_str(), 0755), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(AppState::Open(home_.state_folder()).status()));
}

TEST_F(AppStateTest, DamageIsNamedAndNothingIsGuessed) {
  const AppState state = State();
  EXPECT_GT(Must(state.NextCommandCounter()), 0u);
  ReaderMemory memory = Must(state.LoadReaderMemory());
  ASSERT_TRUE(state.SaveReaderMemory(memory).ok());
  const auto load = [&](const std::string& name) -> absl::Status {
    if (name == "owner") return state.LoadOwner().status();
    if (name == "member") return state.LoadMember().status();
    if (name == "counters") return state.NextCommandCounter().status();
    return state.LoadReaderMemory().status();
  };
  for (const std::string name : {"owner", "member", "counters", "reader"}) {
    const std::string good = ReadAll(File(name));
    for (const std::string& bad :
         {std::string(), good.substr(0, good.size() - 1), good + "x", good.substr(1), [&] {
            std::string flipped = good;
            flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
            return flipped;
          }()}) {
      WriteAll(File(name), bad);
      const absl::Status status = load(name);
      EXPECT_TRUE(absl::IsDataLoss(status)) << name << ": " << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(File(name)));
    }
    WriteAll(File(name), good);
    EXPECT_TRUE(load(name).ok()) << name;
  }
  std::filesystem::remove(File("member"));
  EXPECT_TRUE(absl::IsDataLoss(state.LoadMember().status()));
}

TEST_F(AppStateTest, AnotherFormatIsNoDamage) {
  const std::string good = ReadAll(File("member"));
  ASSERT_EQ(good[0], '\x83');  // an array of three, the version first
  std::string newer = good;
  newer[1] = 2;
  WriteAll(File("member"), newer);
  const absl::Status status = State().LoadMember().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("of format 2, this program reads format 1"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer program"));
  EXPECT_THAT(std::string(status.message()), ::testing::Not(HasSubstr("damaged")));
}

TEST_F(AppStateTest, OneChangeAtATime) {
  const auto held = State().LockChanges();
  ASSERT_TRUE(held.ok());
  const absl::Status status = State().LockChanges(absl::Milliseconds(120)).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("try again when it has ended"));
}

TEST_F(AppStateTest, CountersRiseAcrossProcesses) {
  uint64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    const uint64_t next = Must(State().NextCommandCounter());
    EXPECT_GT(next, last);
    last = next;
  }
  EXPECT_GT(Must(State().NextHeadSequence()), 0u);
}

TEST_F(AppStateTest, OlderReaderMemoryDoesNotReplaceNewer) {
  const AppState state = State();
  ReaderMemory first = Must(state.LoadReaderMemory());
  ReaderMemory second = first;
  const Topic topic = Topic::Keyring();
  first.positions[topic] = {RandomSource::System().NewId<LogId>(), 7};
  first.alarms["stale"] = 2;
  ASSERT_TRUE(state.SaveReaderMemory(first).ok());
  EXPECT_TRUE(absl::IsAborted(state.SaveReaderMemory(second)));
  const ReaderMemory stored = Must(state.LoadReaderMemory());
  EXPECT_EQ(stored.positions, first.positions);
  EXPECT_EQ(stored.alarms, first.alarms);
  ASSERT_TRUE(state.SaveReaderMemory(first).ok());  // its own successor
}

TEST_F(AppStateTest, OneRememberAtATime) {
  auto held = State().LockReading();
  ASSERT_TRUE(held.ok());
  EXPECT_TRUE(absl::IsUnavailable(State().LockReading().status()));
  held = absl::CancelledError("let go");
  EXPECT_TRUE(State().LockReading().ok());
}

TEST(AppStateEmptyTest, NothingWasPaired) {
  Home home;
  const AppState state = Must(AppState::Open(home.state_folder()));
  EXPECT_FALSE(state.HasOwner());
  EXPECT_TRUE(absl::IsFailedPrecondition(state.LoadMember().status()));
}

TEST(ReaderMemoryTest, RefusesWhatItDidNotWrite) {
  ReaderMemory memory;
  memory.generation = 3;
  memory.snapshot = ToBytes("anything");
  memory.positions[Topic::Keyring()] = {LogId(), 5};
  memory.alarms["fork"] = 1;
  const Bytes good = memory.Encode();
  const ReaderMemory again = Must(ReaderMemory::Parse(good));
  EXPECT_EQ(again.Encode(), good);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ReaderMemory::Parse(ByteView(good).first(size)).ok()) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(ReaderMemory::Parse(longer).ok());
}

}  // namespace
}  // namespace keystead::mobile
