// docs/protocol.md says what the code does: its examples hold, and the tests it names exist.
#include "tests/vectors/protocol_examples.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace keystead::vectors {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::filesystem::path Source() {
  const char* const folder = std::getenv("KEYSTEAD_SOURCE_DIR");
  return folder == nullptr ? std::filesystem::path(".") : std::filesystem::path(folder);
}

class ProtocolDocumentTest : public testing::Test {
 protected:
  const std::string text_ = ReadFile(Source() / "docs/protocol.md");
};

TEST_F(ProtocolDocumentTest, ExamplesAreWhatTheCodeMakes) {
  const auto blocks = ReadHexBlocks(text_);
  ASSERT_TRUE(blocks.ok()) << blocks.status();
  std::set<std::string> known;
  for (const ProtocolExample& example : MakeProtocolExamples()) {
    known.insert(example.name);
    const auto block = blocks->find(example.name);
    ASSERT_NE(block, blocks->end()) << "docs/protocol.md has no block " << example.name;
    if (!example.random) {
      EXPECT_EQ(ToHex(block->second), ToHex(example.bytes)) << example.name;
    }
  }
  for (const auto& [name, bytes] : *blocks)
    EXPECT_TRUE(known.contains(name)) << name << " is made by nothing";
}

TEST_F(ProtocolDocumentTest, SignedAndSealedExamplesVerifyAndOpen) {
  const auto blocks = ReadHexBlocks(text_);
  ASSERT_TRUE(blocks.ok());
  EXPECT_EQ(CheckRandomExamples(*blocks), absl::OkStatus());
  for (const char* name :
       {"announcement", "m1", "m2", "acceptance", "join-secret", "first-wrap", "commit", "checkpoint"}) {
    std::map<std::string, Bytes> changed = *blocks;
    ASSERT_FALSE(changed[name].empty()) << name;
    changed[name].back() ^= 1;
    EXPECT_FALSE(CheckRandomExamples(changed).ok()) << name;
  }
}

TEST_F(ProtocolDocumentTest, EveryRuleIsNamedOnceAndItsTestsExist) {
  std::string tests;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Source() / "tests")) {
    if (entry.path().extension() == ".cc") tests += ReadFile(entry.path());
  }
  std::set<std::string> rules;
  const std::regex row(R"(\n\| (KS1-[A-Z]+-[0-9]+) \|[^\n]*\| ([^|\n]+) \|)");
  const std::regex name(R"(`([A-Za-z0-9]+)\.([A-Za-z0-9]+)`)");
  for (std::sregex_iterator at(text_.begin(), text_.end(), row), end; at != end; ++at) {
    const std::string rule = (*at)[1];
    const std::string held_by = (*at)[2];
    EXPECT_TRUE(rules.insert(rule).second) << rule << " stands twice";
    std::sregex_iterator test(held_by.begin(), held_by.end(), name);
    EXPECT_NE(test, std::sregex_iterator()) << rule << " names no test";
    for (; test != std::sregex_iterator(); ++test) {
      const std::string declared = "(" + (*test)[1].str() + ", " + (*test)[2].str() + ")";
      EXPECT_NE(tests.find(declared), std::string::npos) << rule << ": there is no test " << declared;
    }
  }
  EXPECT_GT(rules.size(), 60u);
}

}  // namespace
}  // namespace keystead::vectors
