#include "tests/load/retry_info.h"

#include <gtest/gtest.h>

#include <string>

#include "core/transport/wire.h"

namespace keystead::load {
namespace {

std::string Any(std::string_view type, std::string_view value) {
  std::string out;
  wire::PutBytes(out, 1, type);
  wire::PutBytes(out, 2, value);
  return out;
}

std::string RetryInfo(uint64_t seconds, uint64_t nanos) {
  std::string duration;
  wire::PutNumber(duration, 1, seconds);
  wire::PutNumber(duration, 2, nanos);
  std::string info;
  wire::PutBytes(info, 1, duration);
  return Any("type.googleapis.com/google.rpc.RetryInfo", info);
}

std::string Status(const std::vector<std::string>& details) {
  std::string out;
  wire::PutNumber(out, 1, 8);
  wire::PutBytes(out, 2, "a limit was reached; try again later");
  for (const std::string& detail : details) wire::PutBytes(out, 3, detail);
  return out;
}

TEST(RetryInfoTest, FindsTheDelayBesideOtherDetails) {
  const std::string other = Any("type.googleapis.com/google.rpc.ErrorInfo", "\x0a\x05LIMIT");
  EXPECT_EQ(RetryDelayOf(Status({other, RetryInfo(2, 500'000'000)})), absl::Milliseconds(2500));
  EXPECT_EQ(RetryDelayOf(Status({RetryInfo(0, 1)})), absl::Nanoseconds(1));
  EXPECT_EQ(RetryDelayOf(Status({RetryInfo(0, 0)})), absl::ZeroDuration());
}

TEST(RetryInfoTest, SaysNothingWhereThereIsNone) {
  EXPECT_FALSE(RetryDelayOf("").has_value());
  EXPECT_FALSE(RetryDelayOf(Status({})).has_value());
  EXPECT_FALSE(RetryDelayOf(Status({Any("type.googleapis.com/google.rpc.ErrorInfo", "")})).has_value());
}

TEST(RetryInfoTest, AnHourIsTheMostThatAServerCanAskFor) {
  EXPECT_EQ(RetryDelayOf(Status({RetryInfo(uint64_t{1} << 40, 0)})), absl::Hours(1));
  EXPECT_EQ(RetryDelayOf(Status({RetryInfo(UINT64_MAX, 0)})), absl::Hours(1)) << "minus one second";
}

TEST(RetryInfoTest, BytesThatAreCutOffOrTurnedAroundNeverCrash) {
  const std::string whole = Status({RetryInfo(2, 500'000'000)});
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(RetryDelayOf(whole.substr(0, size)).has_value()) << size;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string turned = whole;
      turned[at] = static_cast<char>(turned[at] ^ (1 << bit));
      const auto delay = RetryDelayOf(turned);
      if (delay.has_value()) EXPECT_LE(*delay, absl::Hours(1));
    }
  }
  EXPECT_FALSE(RetryDelayOf(std::string(9000, '\x1a')).has_value());
}

}  // namespace
}  // namespace keystead::load
