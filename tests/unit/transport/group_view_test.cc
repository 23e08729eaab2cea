#include "core/transport/group_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/transport/wire.h"
#include "keystead/v1/records.pb.h"
#include "tests/unit/transport/test_groups.h"

namespace keystead::testing {
namespace {

absl::Status ParseStatus(std::string_view bytes) {
  GroupHeaderCache cache;
  return GroupView::Parse(bytes, cache).status();
}

TEST(GroupViewTest, ReadsWhatTheBuilderWrote) {
  GroupBuilder builder(TestHeader(1));
  ASSERT_TRUE(builder.Append(0, AsBytes("first")).ok());
  ASSERT_TRUE(builder.Append(300, AsBytes("second")).ok());
  const size_t size = builder.bytes();
  const Payload group = builder.Take();
  EXPECT_EQ(group->size(), size);
  EXPECT_TRUE(builder.empty());

  GroupHeaderCache cache;
  const auto view = GroupView::Parse(*group, cache);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->header(), TestHeader(1));
  ASSERT_EQ(view->records().size(), 2u);
  EXPECT_EQ(view->first_sequence(), 0u);
  EXPECT_EQ(view->last_sequence(), 300u);
  EXPECT_EQ(AsChars(view->records()[1].cose), "second");
  EXPECT_EQ(view->header_bytes(), EncodeGroupHeader(TestHeader(1)));
}

TEST(GroupViewTest, IsWhatProtobufWrites) {
  const GroupHeader header = TestHeader(1);
  v1::SealedGroup message;
  message.mutable_header()->set_tenant(header.tenant.str());
  message.mutable_header()->set_instantiation(header.instantiation.ToString());
  message.mutable_header()->set_topic(header.topic.str());
  message.mutable_header()->set_sender(header.sender.ToString());
  message.mutable_header()->set_epoch(header.epoch);
  message.mutable_header()->set_stream(header.stream.ToString());
  GroupBuilder builder(header);
  for (uint64_t sequence : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40}) {
    v1::SealedRecord& record = *message.add_records();
    record.set_sequence(sequence);
    record.set_cose(std::string(200, 'x'));
    ASSERT_TRUE(builder.Append(sequence, AsBytes(record.cose())).ok());
  }
  EXPECT_EQ(*builder.Take(), message.SerializeAsString());
}

TEST(GroupViewTest, EveryTruncationIsRefused) {
  const Payload group = TestGroup(TestHeader(1), {{0, "first"}, {1, "second"}});
  GroupHeaderCache cache;
  size_t accepted = 0;
  for (size_t size = 0; size < group->size(); ++size) {
    if (GroupView::Parse(std::string_view(*group).substr(0, size), cache).ok()) ++accepted;
  }
  EXPECT_EQ(accepted, 1u);  // the one that ends behind the first record is itself a group
}

TEST(GroupViewTest, AddedBytesAreRefused) {
  const Payload group = TestGroup(TestHeader(1), {{0, "first"}});
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_FALSE(ParseStatus(*group + static_cast<char>(byte)).ok()) << byte;
  }
  std::string unknown_field = *group;
  wire::PutBytes(unknown_field, 3, "x");
  EXPECT_EQ(ParseStatus(unknown_field).code(), absl::StatusCode::kInvalidArgument);
}

std::string WithRecord(std::string_view record) {
  std::string out = EncodeGroupHeader(TestHeader(1));
  wire::PutBytes(out, 2, record);
  return out;
}

TEST(GroupViewTest, OtherEncodingsAreRefused) {
  const std::string good = "\x08\x05\x12\x01x";
  ASSERT_TRUE(ParseStatus(WithRecord(good)).ok());
  EXPECT_FALSE(ParseStatus(EncodeGroupHeader(TestHeader(1))).ok()) << "no record";
  EXPECT_FALSE(ParseStatus(WithRecord(std::string("\x08\x00\x12\x01x", 5))).ok()) << "zero written out";
  EXPECT_FALSE(ParseStatus(WithRecord(std::string("\x08\x85\x00\x12\x01x", 6))).ok()) << "long varint";
  EXPECT_FALSE(ParseStatus(WithRecord("\x12\x01x\x08\x05")).ok()) << "other order";
  EXPECT_FALSE(ParseStatus(WithRecord("\x08\x05\x12\x01x\x12\x01y")).ok()) << "twice";
  EXPECT_FALSE(ParseStatus(WithRecord("\x08\x05")).ok()) << "no content";
  EXPECT_FALSE(ParseStatus(WithRecord(std::string("\x08\x05\x12\x00", 4))).ok()) << "empty content";
  EXPECT_FALSE(ParseStatus(WithRecord("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x01x")).ok())
      << "the last sequence of all";
  EXPECT_FALSE(ParseStatus(WithRecord("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x12\x01x")).ok())
      << "more than 64 bits";
}

TEST(GroupViewTest, SequencesMustRise) {
  for (const uint64_t second : {4u, 5u}) {
    std::string group = WithRecord("\x08\x05\x12\x01x");
    wire::PutBytes(group, 2, std::string("\x08") + static_cast<char>(second) + "\x12\x01y");
    EXPECT_FALSE(ParseStatus(group).ok()) << second;
  }
}

TEST(GroupViewTest, LimitsHold) {
  const GroupHeader header = TestHeader(1);
  GroupBuilder builder(header);
  EXPECT_EQ(builder.Append(0, AsBytes(std::string(limits::kMaxRecordBytes + 1, 'x'))).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(builder.Append(0, AsBytes(std::string(limits::kMaxRecordBytes, 'x'))).ok());
  EXPECT_TRUE(ParseStatus(*builder.Take()).ok());
  std::string record;
  wire::PutBytes(record, 2, std::string(limits::kMaxRecordBytes + 1, 'x'));
  EXPECT_FALSE(ParseStatus(WithRecord(record)).ok());

  std::string many = EncodeGroupHeader(header);
  for (size_t i = 0; i < limits::kMaxRecordsPerGroup; ++i) {
    std::string body;
    wire::PutNumber(body, 1, i);
    wire::PutBytes(body, 2, "x");
    wire::PutBytes(many, 2, body);
  }
  EXPECT_TRUE(ParseStatus(many).ok());
  wire::PutBytes(many, 2, std::string("\x08\x80\x10\x12\x01x", 6));
  EXPECT_FALSE(ParseStatus(many).ok());
}

TEST(GroupViewTest, HeaderFieldsAreChecked) {
  const auto with_header = [](std::string_view header) {
    std::string out;
    wire::PutBytes(out, 1, header);
    wire::PutBytes(out, 2, "\x12\x01x");
    return out;
  };
  const auto header = [](std::string_view tenant, std::string_view instantiation, std::string_view topic,
                         std::string_view sender, std::string_view stream) {
    std::string out;
    wire::PutBytes(out, 1, tenant);
    wire::PutBytes(out, 2, instantiation);
    wire::PutBytes(out, 3, topic);
    wire::PutBytes(out, 4, sender);
    wire::PutBytes(out, 6, stream);
    return out;
  };
  const std::string id(16, 'i');
  ASSERT_TRUE(ParseStatus(with_header(header("acme.example", id, "keyring", id, id))).ok());
  EXPECT_FALSE(ParseStatus(with_header(header("Acme.example", id, "keyring", id, id))).ok());
  EXPECT_FALSE(ParseStatus(with_header(header("acme.example", "short", "keyring", id, id))).ok());
  EXPECT_FALSE(ParseStatus(with_header(header("acme.example", id, "keyrings", id, id))).ok());
  EXPECT_FALSE(ParseStatus(with_header(header("acme.example", id, "keyring", id + "x", id))).ok());
  EXPECT_FALSE(ParseStatus(with_header(header("acme.example", id, "keyring", id, ""))).ok());
}

TEST(GroupHeaderCacheTest, RemembersAndStaysBounded) {
  GroupHeaderCache cache(2);
  std::vector<std::shared_ptr<const GroupHeader>> seen;
  for (int i = 0; i < 5; ++i) {
    const Payload group = TestGroup(TestHeader(i), {{0, "x"}});
    const auto first = GroupView::Parse(*group, cache);
    const auto second = GroupView::Parse(*group, cache);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(first->shared_header(), second->shared_header());
    EXPECT_EQ(first->header(), TestHeader(i));
  }
}

}  // namespace
}  // namespace keystead::testing
