#include "device-sim/label_view.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/unit/device_sim/example_label.h"

namespace keystead::device_sim {
namespace {

using membership::EncodeLabel;
using membership::ExampleLabel;
using membership::GroupLabelText;
using membership::TextOf;

bool InCi() {
  const char* ci = std::getenv("CI");
  return ci != nullptr && std::string_view(ci) == "true";
}

// Runs zbarimg with its output in `out`; false where there is no such program.
bool RunZbar(std::vector<std::string> arguments, const std::string& out) {
  arguments.insert(arguments.begin(), "zbarimg");
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const bool started = posix_spawnp(&pid, "zbarimg", &actions, nullptr, argv.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  return started && waitpid(pid, nullptr, 0) == pid;
}

bool HaveZbar() { return RunZbar({"--version"}, "/dev/null"); }

#define REQUIRE_ZBAR()                                                      \
  if (!HaveZbar()) {                                                        \
    if (InCi()) FAIL() << "zbarimg (Debian package zbar-tools) is missing"; \
    GTEST_SKIP() << "zbarimg (Debian package zbar-tools) is missing";       \
  }                                                                         \
  static_assert(true)

// What an independent reader sees in the image.
std::string Scan(const SecretBytes& png) {
  std::string folder = ::testing::TempDir() + "/qr-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return "no folder";
  std::ofstream(folder + "/label.png", std::ios::binary) << TextOf(png);
  EXPECT_TRUE(
      RunZbar({"-q", "--raw", "-Sdisable", "-Sqrcode.enable", folder + "/label.png"}, folder + "/text"));
  std::string seen;
  std::getline(std::ifstream(folder + "/text"), seen);
  std::filesystem::remove_all(folder);
  return seen;
}

// Reads the terminal's characters back into modules, as a person's camera would see them.
QrSymbol FromTerminal(const std::string& shown) {
  std::vector<std::vector<uint8_t>> rows;
  for (size_t at = 0; at < shown.size();) {
    if (shown[at] == '\x1b') {
      const size_t end = shown.find('m', at) + 1;
      if (end - at > 4) rows.resize(rows.size() + 2);  // the colours that begin a line
      at = end;
    } else if (shown[at] == '\n' || shown[at] == '\r') {
      ++at;
    } else {
      const std::string_view c(&shown[at], shown[at] == ' ' ? 1 : 3);
      rows[rows.size() - 2].push_back(c == "\u2588" || c == "\u2580");
      rows[rows.size() - 1].push_back(c == "\u2588" || c == "\u2584");
      at += c.size();
    }
  }
  const size_t side = rows.front().size();
  const size_t width = side - 2 * kQuietZoneModules;
  QrSymbol symbol{width, SecretBytes(width * width)};
  for (size_t y = 0; y < rows.size(); ++y) {
    EXPECT_EQ(rows[y].size(), side);
    for (size_t x = 0; x < side; ++x) {
      const bool inside = x >= kQuietZoneModules && x < kQuietZoneModules + width && y >= kQuietZoneModules &&
                          y < kQuietZoneModules + width;
      if (!inside) {
        EXPECT_EQ(rows[y][x], 0) << "dark in the quiet zone at " << x << "," << y;
      } else {
        symbol.modules.MutableSecret()[(y - kQuietZoneModules) * width + x - kQuietZoneModules] = rows[y][x];
      }
    }
  }
  return symbol;
}

TEST(LabelViewTest, ImageScansAsTheLabelText) {
  REQUIRE_ZBAR();
  for (const uint8_t first : {uint8_t{0}, uint8_t{1}, uint8_t{200}}) {
    const SecretBytes text = *EncodeLabel(ExampleLabel(first));
    const auto symbol = EncodeQr(text.ExposeSecret());
    ASSERT_TRUE(symbol.ok()) << symbol.status();
    const auto png = RenderPng(*symbol, 4);
    ASSERT_TRUE(png.ok()) << png.status();
    EXPECT_EQ(Scan(*png), TextOf(text));
  }
}

TEST(LabelViewTest, TerminalFormScansAsTheLabelText) {
  REQUIRE_ZBAR();
  const SecretBytes text = *EncodeLabel(ExampleLabel());
  const auto symbol = EncodeQr(text.ExposeSecret());
  ASSERT_TRUE(symbol.ok());
  EXPECT_EQ(Scan(*RenderPng(FromTerminal(TextOf(RenderForTerminal(*symbol))), 4)), TextOf(text));
}

TEST(LabelViewTest, TerminalFormFitsCommonTerminalsAndSetsBothColours) {
  const auto symbol = EncodeQr(EncodeLabel(ExampleLabel())->ExposeSecret());
  EXPECT_LE(symbol->width + 2 * kQuietZoneModules, 80U);
  const std::string shown = TextOf(RenderForTerminal(*symbol));
  EXPECT_TRUE(shown.starts_with("\x1b[38;5;16;48;5;231m"));
  EXPECT_TRUE(shown.ends_with("\x1b[0m\n"));
}

TEST(LabelViewTest, RefusesWhatIsNotAlphanumericOrTooLong) {
  EXPECT_EQ(EncodeQr(AsBytes("ks1:abc")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeQr({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeQr(AsBytes(std::string(5000, 'A'))).status().code(), absl::StatusCode::kInvalidArgument);
  const auto symbol = EncodeQr(AsBytes("KS1:ABC"));
  EXPECT_FALSE(RenderPng(*symbol, 0).ok());
  EXPECT_FALSE(RenderPng(*symbol, 65).ok());
}

// Everything that comes out of `read_fd` until its end.
std::string Drain(int read_fd) {
  std::string out;
  std::array<char, 4096> buffer{};
  ssize_t n = 0;
  while ((n = read(read_fd, buffer.data(), buffer.size())) > 0)
    out.append(buffer.data(), static_cast<size_t>(n));
  return out;
}

TEST(LabelViewTest, ShowsNothingWhereThereIsNoTerminal) {
  const SecretBytes text = *EncodeLabel(ExampleLabel());
  const SecretBytes grouped = GroupLabelText(text);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(ShowLabel(ends[1], text.ExposeSecret(), grouped.ExposeSecret(), false).code(),
            absl::StatusCode::kFailedPrecondition);
  close(ends[1]);
  EXPECT_EQ(Drain(ends[0]), "");
  close(ends[0]);
}

TEST(LabelViewTest, ShowsPictureAndTextWhenForced) {
  const SecretBytes text = *EncodeLabel(ExampleLabel());
  const SecretBytes grouped = GroupLabelText(text);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_TRUE(ShowLabel(ends[1], text.ExposeSecret(), grouped.ExposeSecret(), true).ok());
  close(ends[1]);
  EXPECT_EQ(Drain(ends[0]), TextOf(RenderForTerminal(*EncodeQr(text.ExposeSecret()))) + TextOf(grouped));
  close(ends[0]);
}

TEST(LabelViewTest, ShowsOnATerminal) {
  const SecretBytes text = *EncodeLabel(ExampleLabel());
  const SecretBytes grouped = GroupLabelText(text);
  int master = -1;
  int terminal = -1;
  ASSERT_EQ(openpty(&master, &terminal, nullptr, nullptr, nullptr), 0);
  std::string shown;
  std::thread reader([&] { shown = Drain(master); });
  const absl::Status status = ShowLabel(terminal, text.ExposeSecret(), grouped.ExposeSecret(), false);
  close(terminal);
  reader.join();
  close(master);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(shown, ::testing::HasSubstr(TextOf(grouped).substr(5, 40)));
}

}  // namespace
}  // namespace keystead::device_sim
