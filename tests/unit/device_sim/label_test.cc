#include "core/membership/label.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <fstream>

#include "tests/unit/device_sim/example_label.h"

namespace keystead::membership {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

std::string ExampleText() { return TextOf(*EncodeLabel(ExampleLabel())); }
absl::StatusOr<Label> Parse(std::string_view text) { return ParseLabel(AsBytes(text)); }
std::string Why(std::string_view text) { return std::string(Parse(text).status().message()); }

class LabelFile : public ::testing::Test {
 protected:
  LabelFile() {
    std::string pattern = ::testing::TempDir() + "/label-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~LabelFile() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Put(const std::string& path, std::string_view text, mode_t mode) const {
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
  }
  std::string folder_;
};

TEST(LabelTest, TextIsAsDocumented) {
  // Made by a separate implementation (Python: struct, zlib.crc32, base64 with translated alphabet).
  EXPECT_EQ(ExampleText(),
            "KS1:04AP2RVDCMQ6PSBSEDT6ARB45SJQGRBDE1P6A2B2ENP64B9G60R33851MAHT99D6MYMAKANBNJPTXBXGP6SB7D"
            "5NPTVVHEDTQEYBVFNZ003GW58W4CN32E1Z8S6N8PV2D5R7EZM5HJ9SN8D8NYVBVH6BTBCNTAT4GW");
}

TEST(LabelTest, RoundTripKeepsEveryField) {
  for (const size_t id_size : {size_t{1}, size_t{2}, size_t{3}, size_t{4}, size_t{5}, kMaxDeviceIdBytes}) {
    Label label = ExampleLabel(static_cast<uint8_t>(id_size));
    label.device_id = std::string(id_size, 'x');
    const auto parsed = ParseLabel(EncodeLabel(label)->ExposeSecret());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_TRUE(SameLabel(*parsed, label));
  }
}

TEST(LabelTest, LongestLabelFitsLimitAndParsesGrouped) {
  Label label = ExampleLabel();
  const std::string part(62, 'a');
  label.tenant = *TenantName::Parse(part + "." + part + "." + part + "." + part + ".b");
  ASSERT_EQ(label.tenant.str().size(), 253U);
  label.device_id = std::string(kMaxDeviceIdBytes, 'Z');
  const SecretBytes grouped = GroupLabelText(*EncodeLabel(label));
  EXPECT_LE(3 * grouped.size(), kMaxLabelTextBytes);
  const auto parsed = ParseLabel(grouped.ExposeSecret());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(SameLabel(*parsed, label));
}

TEST(LabelTest, TextIsOfTheAlphanumericMode) {
  const std::string text = ExampleText();
  EXPECT_EQ(text.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"), std::string::npos);
}

TEST(LabelTest, GroupedFormHasShortGroupsAndLines) {
  const std::string grouped = TextOf(GroupLabelText(*EncodeLabel(ExampleLabel())));
  EXPECT_EQ(grouped.substr(0, 5), "KS1:\n");
  EXPECT_EQ(grouped.back(), '\n');
  EXPECT_EQ(grouped[10], ' ');
  EXPECT_EQ(grouped[5 + 8 * 6 - 1], '\n');
}

TEST(LabelTest, ParseToleratesCaseBlanksDashesAndLineEnds) {
  std::string typed = "\r\n k-s1 : ";
  for (const char c : ExampleText().substr(4)) {
    typed += static_cast<char>(std::tolower(c));
    typed += typed.size() % 3 == 0 ? "-" : typed.size() % 7 == 0 ? " \t\r\n" : "";
  }
  const auto parsed = Parse(typed);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(SameLabel(*parsed, ExampleLabel()));
}

TEST(LabelTest, ParseReadsLookalikes) {
  std::string text = ExampleText();
  for (size_t i = 4, n = 0; i < text.size(); ++i) {
    if (text[i] == '0') text[i] = n++ % 2 == 0 ? 'O' : 'o';
    if (text[i] == '1') text[i] = "IiLl"[n++ % 4];
  }
  ASSERT_NE(text, ExampleText());
  EXPECT_TRUE(Parse(text).ok());
}

TEST(LabelTest, EveryMistypedCharacterIsNoticed) {
  const std::string good = ExampleText();
  for (size_t i = 4; i < good.size(); ++i) {
    for (const char c : kAlphabet) {
      if (c == good[i]) continue;
      std::string text = good;
      text[i] = c;
      ASSERT_EQ(Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << i << c;
    }
  }
}

TEST(LabelTest, EverySwapOfNeighboursIsNoticed) {
  const std::string good = ExampleText();
  for (size_t i = 4; i + 1 < good.size(); ++i) {
    if (good[i] == good[i + 1]) continue;
    std::string text = good;
    std::swap(text[i], text[i + 1]);
    ASSERT_FALSE(Parse(text).ok()) << i;
  }
}

TEST(LabelTest, MistypedSecretSaysChecksum) {
  std::string text = ExampleText();
  text[text.size() - 20] = text[text.size() - 20] == '7' ? '8' : '7';
  EXPECT_THAT(Why(text), HasSubstr("checksum"));
}

TEST(LabelTest, EveryTruncationAndExtensionIsNoticedAsLength) {
  const std::string good = ExampleText();
  for (size_t size = 0; size < good.size(); ++size) ASSERT_FALSE(Parse(good.substr(0, size)).ok()) << size;
  // Enough is there to see what was announced.
  for (size_t size = 60; size < good.size(); ++size) {
    ASSERT_THAT(Why(good.substr(0, size)), HasSubstr("wrong length")) << size;
  }
  for (const std::string more : {"0", "00", "AB", "000", "0000", "00000000"}) {
    ASSERT_THAT(Why(good + more), HasSubstr("wrong length")) << more;
  }
  EXPECT_THAT(Why(good + std::string(5000, 'A')), HasSubstr("wrong length"));
  EXPECT_THAT(Why("KS1:"), HasSubstr("wrong length"));
}

TEST(LabelTest, BadCharacterIsNamedByPosition) {
  std::string text = ExampleText();
  text[9] = 'U';
  EXPECT_THAT(Why(text), HasSubstr("position 10 (line 1, column 10)"));
  text.insert(8, "\n");
  EXPECT_THAT(Why(text), HasSubstr("position 11 (line 2, column 2)"));
  std::string nul = ExampleText();
  nul[20] = '\0';
  EXPECT_THAT(Why(nul), HasSubstr("position 21"));
  std::string high = ExampleText();
  high[30] = '\xC3';
  EXPECT_THAT(Why(high), HasSubstr("position 31"));
}

TEST(LabelTest, OtherVersionsAndOtherTextsAreTold) {
  const std::string rest = ExampleText().substr(4);
  EXPECT_EQ(Parse("KS2:" + rest).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(Why("ks17:" + rest), HasSubstr("version KS17"));
  for (const std::string text :
       {"K", "KS", "KS:", "KS1", "KSX:", "XS1:", "KS12345:", "MT:Y.K9042C00KA0648G00"}) {
    EXPECT_THAT(Why(text + (text.back() == ':' ? rest : "")), HasSubstr("does not begin with KS1:")) << text;
  }
  EXPECT_THAT(Why(""), HasSubstr("empty"));
  EXPECT_THAT(Why(" \n"), HasSubstr("empty"));
}

TEST(LabelTest, MessagesDoNotQuoteTheLabel) {
  std::string text = ExampleText();
  text[text.size() - 20] = '!';
  for (size_t i = 4; i + 6 < text.size(); ++i) ASSERT_THAT(Why(text), Not(HasSubstr(text.substr(i, 6))));
}

TEST(LabelTest, EncodeRefusesIncompleteLabels) {
  Label no_tenant = ExampleLabel();
  no_tenant.tenant = TenantName();
  EXPECT_FALSE(EncodeLabel(no_tenant).ok());
  Label short_code = ExampleLabel();
  short_code.setup_code = SecretBytes(31);
  EXPECT_FALSE(EncodeLabel(short_code).ok());
  for (const std::string& id :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a b"),
        std::string("a\0b", 3), std::string("\xC3\xA9"), std::string(65, 'a')}) {
    Label label = ExampleLabel();
    label.device_id = id;
    EXPECT_EQ(EncodeLabel(label).status().code(), absl::StatusCode::kInvalidArgument) << id;
  }
}

TEST_F(LabelFile, IsPrivateAndReadsBack) {
  const mode_t before = umask(0);
  const absl::Status written = WriteLabelFile(Path("l"), ExampleLabel());
  umask(before);
  ASSERT_TRUE(written.ok()) << written;
  struct stat info {};
  ASSERT_EQ(stat(Path("l").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  const auto read = ReadLabelFile(Path("l"));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(SameLabel(*read, ExampleLabel()));
}

TEST_F(LabelFile, IsNeverOverwrittenNorWrittenThroughLinks) {
  Put(Path("old"), "keep", 0600);
  EXPECT_EQ(WriteLabelFile(Path("old"), ExampleLabel()).code(), absl::StatusCode::kAlreadyExists);
  std::string kept;
  std::ifstream(Path("old")) >> kept;
  EXPECT_EQ(kept, "keep");
  std::filesystem::create_symlink(Path("target"), Path("dangling"));
  EXPECT_EQ(WriteLabelFile(Path("dangling"), ExampleLabel()).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(std::filesystem::exists(Path("target")));
}

TEST_F(LabelFile, IncompleteLabelOrMissingFolderLeavesNothing) {
  Label label = ExampleLabel();
  label.setup_code.Wipe();
  EXPECT_FALSE(WriteLabelFile(Path("l"), label).ok());
  EXPECT_FALSE(std::filesystem::exists(Path("l")));
  EXPECT_EQ(WriteLabelFile(Path("no/l"), ExampleLabel()).code(), absl::StatusCode::kNotFound);
}

TEST_F(LabelFile, FullDiskIsAnError) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_EQ(WriteLabel(full, ExampleLabel()).code(), absl::StatusCode::kResourceExhausted);
  close(full);
}

TEST_F(LabelFile, ReadableByOthersIsRefused) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0644U, 0610U}) {
    const std::string path = Path(std::to_string(mode));
    Put(path, ExampleText(), mode);
    const absl::Status status = ReadLabelFile(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("chmod 600"));
  }
  Put(Path("fine"), ExampleText(), 0400);
  EXPECT_TRUE(ReadLabelFile(Path("fine")).ok());
}

TEST_F(LabelFile, MissingOrTooLargeFilesAreRefused) {
  EXPECT_EQ(ReadLabelFile(Path("none")).status().code(), absl::StatusCode::kNotFound);
  Put(Path("exact"), ExampleText() + std::string(kMaxLabelTextBytes - ExampleText().size(), ' '), 0600);
  EXPECT_TRUE(ReadLabelFile(Path("exact")).ok());
  Put(Path("large"), ExampleText() + std::string(kMaxLabelTextBytes + 1 - ExampleText().size(), ' '), 0600);
  EXPECT_EQ(ReadLabelFile(Path("large")).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(ReadLabelFile(folder_).ok());
}

TEST_F(LabelFile, DashReadsStandardInput) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_TRUE(WriteLabel(ends[1], ExampleLabel()).ok());
  close(ends[1]);
  const int saved = dup(STDIN_FILENO);
  dup2(ends[0], STDIN_FILENO);
  const auto read = ReadLabelFile("-");
  dup2(saved, STDIN_FILENO);
  close(saved);
  close(ends[0]);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(SameLabel(*read, ExampleLabel()));
}

}  // namespace
}  // namespace keystead::membership
