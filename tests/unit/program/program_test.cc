#include "core/program/program.h"
#include "core/base/status.h"
#include "core/observe/latency_histogram.h"
#include "core/program/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
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

TEST(ProgramTest, RefusesAMistypedNameInTheFile) {
  const std::string path = "/tmp/keystead-program-mistyped-" + std::to_string(getpid()) + ".toml";
  std::ofstream(path) << "queue-bytes = 3\nquque-bytes = 4\n";
  std::string error;
  EXPECT_EQ(RunForked(
                [&] {
                  return RunProgram({"--config", path}, [](int) { return absl::OkStatus(); });
                },
                &error),
            2);
  EXPECT_THAT(error, HasSubstr("quque-bytes"));
  EXPECT_EQ(std::ranges::count(error, '\n'), 1) << error;
  std::filesystem::remove(path);
}

TEST(ProgramTest, AnErrorIsOneLineOnStandardErrorAndAnEventInTheLogFile) {
  const std::string path = "/tmp/keystead-program-log-" + std::to_string(getpid());
  std::string error;
  EXPECT_EQ(RunForked(
                [&] {
                  return RunProgram({"--log-file", path}, [](int) { return absl::NotFoundError("nothing"); });
                },
                &error),
            1);
  EXPECT_EQ(error, "keystead-example: nothing\n");
  EXPECT_THAT(ReadFile(path, 10000).value(), HasSubstr("\"event\":\"failed\""));
  std::filesystem::remove(path);
}

TEST(ProgramTest, HelpTellsOfFileAndEnvironment) {
  testing::internal::CaptureStdout();
  std::string error;
  EXPECT_EQ(RunForked(
                [] {
                  const int code = RunProgram({"--help"}, [](int) { return absl::OkStatus(); });
                  std::cout.flush();  // the child leaves without running what a program runs at its end
                  std::fflush(stdout);
                  return code;
                },
                &error),
            0);
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_THAT(said, HasSubstr("--config"));
  EXPECT_THAT(said, HasSubstr("KEYSTEAD_EXAMPLE_<NAME>"));
  EXPECT_THAT(said, HasSubstr("KEYSTEAD_EXAMPLE_QUEUE_BYTES"));
}

// The pipe of a program that collects dumps is fed at every limit but this one.
TEST(ProgramTest, LeavesNoCoreDump) {
  std::string error;
  const auto body = [](int) {
    rlimit limit{};
    getrlimit(RLIMIT_CORE, &limit);
    return limit.rlim_cur <= 1 && limit.rlim_max <= 1 ? absl::OkStatus() : absl::InternalError("a limit");
  };
  EXPECT_EQ(RunForked([&] { return RunProgram({}, body); }, &error), 0) << error;
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

// What somebody who asks for the metrics of a program gets while its body runs.
int RunWithMetrics(std::vector<std::string> args, const std::function<absl::Status(Program&)>& body) {
  args.insert(args.begin(), "keystead-example");
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  Program program("keystead-example", "An example", "KEYSTEAD_EXAMPLE");
  program.OfferMetrics();
  return program.Run(static_cast<int>(argv.size()), argv.data(), [&] { return body(program); });
}

TEST(ProgramTest, ServesMetricsWhileItsBodyRunsAndAnnouncesWhere) {
  const std::string path = "/tmp/keystead-program-metrics-" + std::to_string(getpid()) + ".json";
  std::string error;
  const auto body = [&](Program& program) {
    KS_RETURN_IF_ERROR(program.AnnouncePorts({{"grpc", 1}}));
    const std::string said = ReadFile(path, 1000).value();
    const size_t at = said.find("\"metrics\":");
    if (at == std::string::npos || !MetricsWanted()) return absl::InternalError("not announced: " + said);
    const int port = std::atoi(said.c_str() + at + 10);
    return MetricsServer::Start({.listen = "127.0.0.1:" + std::to_string(port)}).ok()
               ? absl::InternalError("nobody has the port that was announced")
               : absl::OkStatus();
  };
  EXPECT_EQ(
      RunForked(
          [&] {
            return RunWithMetrics({"--quiet", "--metrics-listen", "127.0.0.1:0", "--ports-file", path}, body);
          },
          &error),
      0)
      << error;
  std::filesystem::remove(path);
}

TEST(ProgramTest, ServesNoMetricsUnlessAsked) {
  std::string error;
  const auto body = [](Program&) {
    return MetricsWanted() ? absl::InternalError("wanted") : absl::OkStatus();
  };
  EXPECT_EQ(RunForked([&] { return RunWithMetrics({}, body); }, &error), 0) << error;
}

TEST(ProgramTest, GivesMetricsToTheNetworkOnlyWhenToldInSoManyWords) {
  std::string error;
  const auto body = [](Program&) { return absl::OkStatus(); };
  EXPECT_EQ(RunForked([&] { return RunWithMetrics({"--metrics-listen", "0.0.0.0:0"}, body); }, &error), 1);
  EXPECT_THAT(error, HasSubstr("not loopback"));
  EXPECT_EQ(RunForked(
                [&] {
                  return RunWithMetrics(
                      {"--quiet", "--metrics-listen", "0.0.0.0:0", "--metrics-for-everyone-on-the-network"},
                      body);
                },
                &error),
            0)
      << error;
}

}  // namespace
}  // namespace keystead
