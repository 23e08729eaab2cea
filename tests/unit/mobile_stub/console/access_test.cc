#include "mobile-stub/console/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace keystead::console {
namespace {

using ::testing::HasSubstr;

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() : access_(SessionToken::Make(random_, text_), {"console.example"}, &clock_) {}

  std::string Token() const { return ToString(text_.ExposeSecret()); }
  HttpRequest Good() const {
    HttpRequest request;
    request.method = "GET";
    request.headers = {{"host", "127.0.0.1:8080"}, {"authorization", "Bearer " + Token()}};
    return request;
  }
  int StatusOf(const HttpRequest& request) const { return access_.CheckCaller(request).status; }
  HttpRequest With(const std::string& name, const std::string& value) const {
    HttpRequest request = Good();
    std::erase_if(request.headers, [&](const auto& header) { return header.first == name; });
    request.headers.emplace_back(name, value);
    return request;
  }

  SeededRandom random_{1};
  SecretBytes text_;
  ManualClock clock_;
  Access access_;
};

TEST_F(AccessTest, TheTokenIs256BitsInHex) {
  EXPECT_EQ(text_.size(), 64u);
  SecretBytes other;
  SessionToken::Make(random_, other);
  EXPECT_FALSE(text_.ConstantTimeEquals(other));
}

TEST_F(AccessTest, WhoHasTheTokenMayAsk) { EXPECT_EQ(StatusOf(Good()), 200); }

TEST_F(AccessTest, WhoHasAnotherOrAPartOrMoreMayNot) {
  for (const std::string& wrong :
       {std::string(), std::string("Bearer "), "Bearer " + Token().substr(0, 63), "Bearer " + Token() + "0",
        "bearer " + Token(), Token(), "Basic " + Token(), "Bearer " + std::string(64, '0')}) {
    EXPECT_EQ(StatusOf(With("authorization", wrong)), 401) << wrong;
  }
  HttpRequest twice = Good();
  twice.headers.emplace_back("authorization", "Bearer " + Token());
  EXPECT_EQ(StatusOf(twice), 401);
}

TEST_F(AccessTest, ANameThatIsNotThisMachinesIsRefusedAlsoWithTheToken) {
  for (const std::string& host :
       {"evil.example", "evil.example:8080", "127.0.0.1.evil.example:8080", "localhost.evil.example", "",
        "127.0.0.2:8080", "[::2]:8080", "[::1", "localhost@evil.example"}) {
    EXPECT_EQ(StatusOf(With("host", host)), 421) << host;
  }
  HttpRequest two = Good();
  two.headers.emplace_back("host", "127.0.0.1:8080");
  EXPECT_EQ(StatusOf(two), 421);
  for (const std::string& host : {"localhost:9", "127.0.0.1", "[::1]:8080", "console.example:80"}) {
    EXPECT_EQ(StatusOf(With("host", host)), 200) << host;
  }
}

TEST_F(AccessTest, AnotherPageMayNotAskAlsoWithTheToken) {
  for (const std::string& origin : {"http://evil.example", "null", "https://127.0.0.1:8080",
                                    "http://127.0.0.1:8081", "http://localhost:8080"}) {
    EXPECT_EQ(StatusOf(With("origin", origin)), 403) << origin;
  }
  for (const std::string& site : {"cross-site", "same-site"})
    EXPECT_EQ(StatusOf(With("sec-fetch-site", site)), 403) << site;
  EXPECT_EQ(StatusOf(With("origin", "http://127.0.0.1:8080")), 200);
  EXPECT_EQ(StatusOf(With("sec-fetch-site", "same-origin")), 200);
}

TEST_F(AccessTest, WrongTokensAreRationedAndTheRightOneIsNot) {
  const HttpRequest wrong = With("authorization", "Bearer " + std::string(64, '1'));
  int refused = 0;
  while (refused < 1000 && StatusOf(wrong) == 401) ++refused;
  EXPECT_EQ(refused, 10);
  const Access::Verdict verdict = access_.CheckCaller(wrong);
  EXPECT_EQ(verdict.status, 429);
  EXPECT_GE(verdict.retry_after_seconds, 1);
  EXPECT_EQ(StatusOf(Good()), 200);
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(StatusOf(wrong), 401);
}

class TokenFileTest : public AccessTest {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "keystead-token-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/token";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& content, mode_t mode = 0600) {
    std::ofstream(path_) << content;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }
  absl::Status Read() { return SessionToken::FromFile(path_, random_, text_).status(); }

  std::string folder_, path_;
};

TEST_F(TokenFileTest, IsMadeForItsOwnerAloneAndReadAgain) {
  ASSERT_TRUE(Read().ok());
  struct stat facts = {};
  ASSERT_EQ(stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  const std::string first = Token();
  const auto again = SessionToken::FromFile(path_, random_, text_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Token(), first);
  EXPECT_TRUE(again->Is(first));
}

TEST_F(TokenFileTest, ThatOthersMayReadIsRefused) {
  Write(std::string(64, 'a') + "\n", 0644);
  EXPECT_EQ(Read().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(TokenFileTest, ThatHoldsNoTokenIsRefused) {
  for (const std::string& content : {std::string(), std::string(63, 'a'), std::string(64, 'g'),
                                     std::string(65, 'a'), std::string(64, 'A') + "\n"}) {
    Write(content);
    EXPECT_EQ(Read().code(), absl::StatusCode::kInvalidArgument) << content;
  }
}

TEST_F(TokenFileTest, ThatIsALinkIsRefused) {
  ASSERT_EQ(symlink("/etc/hostname", path_.c_str()), 0);
  EXPECT_FALSE(Read().ok());
}

}  // namespace
}  // namespace keystead::console
