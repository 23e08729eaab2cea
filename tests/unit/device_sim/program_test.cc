// The program itself: killed and ended from outside.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "core/membership/signed_object.h"
#include "tests/unit/device_sim/home.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {
namespace {

class ProgramTest : public ::testing::Test {
 protected:
  ~ProgramTest() override { Kill(SIGKILL); }

  void Spawn(const device_sim::Options& options) {
    std::vector<std::string> arguments = home_.ArgumentsFor(options);
    arguments.insert(arguments.begin(), KEYSTEAD_DEVICE_PROGRAM);
    arguments.insert(arguments.end(), {"--log-file", home_.folder() + "/log", "--quiet"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&pid_, argv[0], nullptr, nullptr, argv.data(), environ), 0);
  }
  int Kill(int signal) {
    if (pid_ <= 0) return 0;
    kill(pid_, signal);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }

  Home home_;
  pid_t pid_ = 0;
};

TEST_F(ProgramTest, KilledAtAnyMomentItLosesNothingItJournalledAndTellsNothingTwice) {
  device_sim::Options options = home_.OptionsFor("thermo-1", "temperature");
  options.label_out = home_.folder() + "/label";
  options.interval_seconds = 0.002;
  Spawn(options);
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(options.label_out); }));
  const membership::Label label = [&] {
    absl::StatusOr<membership::Label> out = absl::UnknownError("");
    Eventually([&] { return (out = membership::ReadLabelFile(options.label_out)).ok(); });
    return Must(std::move(out));
  }();
  const MemberId device = home_.Pair(label);
  Freshness word = home_.AwaitWord(device);
  size_t known = 0;
  for (int i = 0; i < 6; ++i) {
    if (i == 2) home_.hop().Stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(50 + 37 * i));  // somewhere in its work
    Kill(SIGKILL);
    if (i == 2) home_.hop().Start();
    Spawn(options);
    word = home_.AwaitWord(device, word.boot);
    const auto read = home_.Read(device);
    EXPECT_GT(read->BodiesOf(kinds::kReadings).size(), known);
    known = read->BodiesOf(kinds::kReadings).size();
  }
  const int status = Kill(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  const auto read = home_.Read(device);
  EXPECT_EQ(read->BodiesOf(kinds::kOpening).size(), 14u);
  EXPECT_TRUE(read->missing.empty());
  EXPECT_EQ(read->duplicates, 0u);
  EXPECT_EQ(read->AlarmsBut({}), 0);
  EXPECT_THAT(ReadAll(home_.folder() + "/log"), ::testing::HasSubstr("\"event\":\"stopped\""));
}

TEST_F(ProgramTest, ErrorsAreOneLineAndTheSetupCodeStandsInNoLog) {
  device_sim::Options options = home_.OptionsFor("thermo-1", "temperature");
  options.label_out = home_.folder() + "/label";
  Spawn(options);
  ASSERT_TRUE(
      Eventually([&] { return ReadAll(home_.folder() + "/log").find("announced") != std::string::npos; }));
  std::string command = KEYSTEAD_DEVICE_PROGRAM;
  for (const std::string& argument : home_.ArgumentsFor(options)) command += " '" + argument + "'";
  int exit_code = 0;
  const std::string said = RunAny(command + " --quiet", &exit_code);
  EXPECT_EQ(exit_code, 1);
  EXPECT_EQ(std::ranges::count(said, '\n'), 1);
  EXPECT_THAT(said, ::testing::HasSubstr("in use by another process"));
  const int status = Kill(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const membership::Label label = Must(membership::ReadLabelFile(options.label_out));
  const std::string log = ReadAll(home_.folder() + "/log");
  EXPECT_EQ(log.find(ToHex(label.setup_code.ExposeSecret())), std::string::npos);
  std::string text = ReadAll(options.label_out);
  text.pop_back();
  EXPECT_EQ(log.find(text), std::string::npos);
}

}  // namespace
}  // namespace keystead::testing
