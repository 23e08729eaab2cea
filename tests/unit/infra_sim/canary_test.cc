#include "infra-sim/canary.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "core/base/bytes.h"

namespace keystead::infra {
namespace {

std::string Forms(const CanarySearch& search, const std::string& in) {
  std::string out;
  for (const CanaryHit& hit : search.Find(in))
    out += std::to_string(hit.canary) + std::string(hit.form) + " ";
  return out;
}

TEST(CanaryTest, FindsItInEveryFormAndAtEveryAlignment) {
  const std::string canary = "canary>>>?7f3a9c??";
  const CanarySearch search({canary});
  EXPECT_EQ(Forms(search, "before " + canary + " after"), "0raw ");
  EXPECT_EQ(Forms(search, "x" + ToHex(AsBytes(canary)) + "y"), "0hex ");
  for (const char* before : {"", "a", "ab", "abc"}) {
    for (const char* after : {"", "z", "zy"}) {
      const std::string text = before + canary + after;
      EXPECT_EQ(Forms(search, absl::Base64Escape(absl::string_view(text.data(), text.size()))), "0base64 ");
      EXPECT_EQ(Forms(search, absl::WebSafeBase64Escape(absl::string_view(text.data(), text.size()))),
                "0base64 ");
    }
  }
}

TEST(CanaryTest, FindsNothingWhereThereIsNothing) {
  const CanarySearch search({"canary-one-7f3a9c", "canary-two-51bd08"});
  EXPECT_EQ(Forms(search, "canary-one-7f3a9d canary-tw0"), "");
  EXPECT_EQ(Forms(search, "…canary-two-51bd08…"), "1raw ");
  EXPECT_TRUE(CanarySearch().empty());
}

}  // namespace
}  // namespace keystead::infra
