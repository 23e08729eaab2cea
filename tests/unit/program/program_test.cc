#include "core/program/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace keystead {
namespace {

using ::testing::HasSubstr;

// Each case runs in a process of its own: a Program is made once per process.
template <class Body>
int RunForked(const Body& body, std::string* error) {
  testing::internal::CaptureStderr();
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  *error = testing::internal::GetCapturedStderr();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int RunProgram(std::vector<std::string> args, const std::function<absl::Status(int)>& body) {
  args.insert(args.begin(), "keystead-example");
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  Program program("keystead-example", "An example", "KEYSTEAD_EXAMPLE");
  int count = 1;
  program.app().add_option("--queue-bytes", count, "Bytes");
  return program.Run(static_cast<int>(argv.size()), argv.data(), [&] { return body(count); });
}

TEST(ProgramTest, ReturnsZeroWhenTheBodySucceeds) {
  std::string error;
  EXPECT_EQ(RunForked([] { return RunProgram({}, [](int) { return absl::OkStatus(); }); }, &error), 0);
}

TEST(ProgramTest, TurnsAStatusIntoOneLine) {
  std::string error;
  EXPECT_EQ(RunForked(
                [] {
                  return RunProgram({"--quiet"},
                                    [](int) { return absl::NotFoundError("no such thing: make it"); });
                },
                &error),
            1);
  EXPECT_EQ(error, "keystead-example: no such thing: make it\n");
}

TEST(ProgramTest, RefusesAMistypedOption) {
  std::string error;
  EXPECT_EQ(RunForked(
                [] {
                  return RunProgram({"--quque-bytes", "5"}, [](int) { return absl::OkStatus(); });
                },
                &error),
            2);
  EXPECT_THAT(error, HasSubstr("--quque-bytes"));
  EXPECT_THAT(error, HasSubstr("--help"));
}

TEST(ProgramTest, TakesOptionsFromLineEnvironmentAndFileInThatOrder) {
  const std::string path = "/tmp/keystead-program-test-" + std::to_string(getpid()) + ".toml";
  std::ofstream(path) << "queue-bytes = 3\n";
  std::string error;
  const auto expect = [](int wanted) {
    return [wanted](int got) {
      return got == wanted ? absl::OkStatus() : absl::InternalError("got " + std::to_string(got));
    };
  };
  EXPECT_EQ(RunForked([&] { return RunProgram({"--config", path}, expect(3)); }, &error), 0) << error;
  setenv("KEYSTEAD_EXAMPLE_QUEUE_BYTES", "4", 1);
  EXPECT_EQ(RunForked([&] { return RunProgram({}, expect(4)); }, &error), 0) << error;
  EXPECT_EQ(RunForked(
                [&] {
                  return RunProgram({"--config", path, "--queue-bytes", "5"}, expect(5));
                },
                &error),
            0)
      << error;
  unsetenv("KEYSTEAD_EXAMPLE_QUEUE_BYTES");
  std::filesystem::remove(path);
}

TEST(ProgramTest, AnnouncesPortsWholeOrNotAtAll) {
  const std::string path = "/tmp/keystead-program-ports-" + std::to_string(getpid()) + ".json";
  std::string error;
  EXPECT_EQ(RunForked(
                [&] {
                  std::vector<std::string> args = {"keystead-example", "--ports-file", path};
                  std::vector<char*> argv;
                  for (std::string& arg : args) argv.push_back(arg.data());
                  Program program("keystead-example", "An example", "KEYSTEAD_EXAMPLE");
                  return program.Run(static_cast<int>(argv.size()), argv.data(), [&] {
                    return program.AnnouncePorts({{"transport", 4711}});
                  });
                },
                &error),
            0);
  const auto content = ReadFile(path, 1000);
  ASSERT_TRUE(content.ok());
  EXPECT_THAT(*content, HasSubstr("\"transport\":4711"));
  EXPECT_THAT(*content, HasSubstr("\"pid\":"));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace keystead
