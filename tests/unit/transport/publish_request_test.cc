#include "core/transport/publish_request.h"

#include <gmock/gmock.h>
#include <grpcpp/support/byte_buffer.h>
#include <gtest/gtest.h>

#include <string>

#include "core/base/limits.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/transport.pb.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;

absl::StatusOr<std::vector<std::string>> Parse(std::span<const std::string_view> pieces) {
  auto groups = ParsePublishRequest(pieces);
  if (!groups.ok()) return groups.status();
  std::vector<std::string> out;
  for (const storage::Payload& group : *groups) out.push_back(*group);
  return out;
}
absl::StatusOr<std::vector<std::string>> Parse(std::string_view bytes) { return Parse({&bytes, 1}); }

std::string Encoded(const std::vector<std::string>& groups) {
  v1::PublishRequest request;
  for (const std::string& group : groups) request.add_groups(group);
  return request.SerializeAsString();
}

TEST(PublishRequestTest, ReadsWhatProtobufWrites) {
  EXPECT_THAT(*Parse(Encoded({"a", "", std::string(300, 'x')})), ElementsAre("a", "", std::string(300, 'x')));
  EXPECT_THAT(*Parse(""), ElementsAre());
}

TEST(PublishRequestTest, ReadsItFromAnyPieces) {
  const std::string bytes = Encoded({"first", std::string(200, 'y'), "", "last"});
  const std::string_view view = bytes;
  const auto whole = *Parse(view);
  for (size_t a = 0; a <= view.size(); a += 3) {
    for (size_t b = a; b <= view.size(); b += 5) {
      const std::string_view pieces[] = {view.substr(0, a), view.substr(a, b - a), "", view.substr(b)};
      const auto groups = Parse(pieces);
      ASSERT_TRUE(groups.ok()) << a << " " << b;
      ASSERT_EQ(*groups, whole);
    }
  }
}

TEST(PublishRequestTest, RefusesWhatIsCutOff) {
  const std::string bytes = Encoded({std::string(200, 'y')});
  for (size_t size = 1; size < bytes.size(); ++size)
    EXPECT_EQ(Parse(bytes.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
}

TEST(PublishRequestTest, RefusesFieldsItDoesNotKnow) {
  for (const std::string& bytes : {std::string("\x10\x01"), std::string("\x12\x01z"), std::string("\x08\x01"),
                                   std::string("\x0b\x0c"), Encoded({"a"}) + std::string("\x15\0\0\0\0", 5)})
    EXPECT_EQ(Parse(bytes).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PublishRequestTest, RefusesLengthsThatAreNotShortest) {
  EXPECT_FALSE(Parse(std::string("\x0a\x81\0z", 4)).ok());
  EXPECT_FALSE(Parse(std::string_view("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)).ok());
}

TEST(PublishRequestTest, CountsGroupsBeforeItKeepsThem) {
  EXPECT_EQ(Parse(Encoded(std::vector<std::string>(limits::kMaxGroupsPerRequest)))->size(),
            limits::kMaxGroupsPerRequest);
  EXPECT_FALSE(Parse(Encoded(std::vector<std::string>(limits::kMaxGroupsPerRequest + 1))).ok());
}

TEST(PublishRequestTest, DoesNotKeepAGroupThatIsTooLarge) {
  EXPECT_THAT(*Parse(Encoded({"a", std::string(limits::kMaxGroupBytes + 1, 'x'), "b"})),
              ElementsAre("a", "", "b"));
}

TEST(PublishRequestTest, WritesWhatProtobufReads) {
  const GroupRefused refused[] = {{.request = 300, .group = 0, .code = absl::StatusCode::kPermissionDenied},
                                  {.request = 301,
                                   .group = 1023,
                                   .code = absl::StatusCode::kAlreadyExists,
                                   .first_sequence = 5,
                                   .last_sequence = uint64_t{1} << 63}};
  grpc::Slice slice;
  ASSERT_TRUE(EncodePublishResponse(299, refused).DumpToSingleSlice(&slice).ok());
  v1::PublishResponse expected;
  expected.set_durable_requests(299);
  for (const GroupRefused& refusal : refused) {
    v1::Refusal* const out = expected.add_refusals();
    out->set_request(refusal.request);
    out->set_group(refusal.group);
    out->set_code(static_cast<int>(refusal.code));
    out->set_reason(std::string(PublicSentence(refusal.code)));
    out->set_first_sequence(refusal.first_sequence);
    out->set_last_sequence(refusal.last_sequence);
  }
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(slice.begin()), slice.size()),
            expected.SerializeAsString());
}

}  // namespace
}  // namespace keystead::testing
