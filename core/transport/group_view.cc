#include "core/transport/group_view.h"

#include <utility>

#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/transport/wire.h"

namespace keystead {
namespace {

using wire::BytesTag;
using wire::VarintTag;

// Tenant, topic and three ids with their tags; anything longer is no header.
constexpr size_t kMaxHeaderBytes = 512;
constexpr size_t kMaxTopicBytes = 128;
constexpr size_t kMaxTenantBytes = 253;

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("sealed group: ", Absl(what)));
}

absl::StatusOr<GroupHeader> ParseHeader(std::string_view bytes) {
  wire::Reader in(bytes);
  const auto field = [&in](int number, size_t max) -> std::optional<std::string_view> {
    if (!in.Tag(BytesTag(number))) return std::nullopt;
    return in.LengthAndBytes(max);
  };
  GroupHeader out;
  const auto tenant = field(1, kMaxTenantBytes);
  if (!tenant) return Malformed("no tenant");
  KS_ASSIGN_OR_RETURN(out.tenant, TenantName::Parse(*tenant));
  const auto instantiation = field(2, InstantiationId::kSize);
  if (!instantiation) return Malformed("no instantiation id");
  KS_ASSIGN_OR_RETURN(out.instantiation, InstantiationId::FromBytes(*instantiation));
  const auto topic = field(3, kMaxTopicBytes);
  if (!topic) return Malformed("no topic");
  KS_ASSIGN_OR_RETURN(out.topic, Topic::Parse(*topic));
  const auto sender = field(4, MemberId::kSize);
  if (!sender) return Malformed("no sender");
  KS_ASSIGN_OR_RETURN(out.sender, MemberId::FromBytes(*sender));
  if (in.Tag(VarintTag(5))) {
    const auto epoch = in.Varint();
    if (!epoch || *epoch == 0) return Malformed("its epoch is not in shortest form");
    out.epoch = *epoch;
  }
  const auto stream = field(6, StreamId::kSize);
  if (!stream) return Malformed("no stream id");
  KS_ASSIGN_OR_RETURN(out.stream, StreamId::FromBytes(*stream));
  if (!in.done()) return Malformed("its header has more fields than known");
  return out;
}

absl::StatusOr<RecordView> ParseRecord(std::string_view bytes) {
  wire::Reader in(bytes);
  RecordView out;
  if (in.Tag(VarintTag(1))) {
    const auto sequence = in.Varint();
    if (!sequence || *sequence == 0) return Malformed("a sequence is not in shortest form");
    out.sequence = *sequence;
  }
  if (!in.Tag(BytesTag(2))) return Malformed("a record without content");
  const auto cose = in.LengthAndBytes(limits::kMaxRecordBytes);
  if (!cose || cose->empty()) return Malformed("a record is empty, too large or cut off");
  if (!in.done()) return Malformed("a record has more fields than known");
  out.cose = AsBytes(*cose);
  return out;
}

size_t RecordBodySize(uint64_t sequence, size_t cose_bytes) {
  const size_t number = sequence == 0 ? 0 : 1 + wire::VarintSize(sequence);
  return number + 1 + wire::VarintSize(cose_bytes) + cose_bytes;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const GroupHeader>> GroupHeaderCache::Get(std::string_view header) {
  if (last_ != nullptr && header == last_bytes_) return last_;
  if (const auto found = headers_.find(Absl(header)); found != headers_.end()) {
    last_bytes_ = found->first;
    return last_ = found->second;
  }
  KS_ASSIGN_OR_RETURN(GroupHeader parsed, ParseHeader(header));
  if (headers_.size() >= max_headers_) headers_.clear();
  last_ = std::make_shared<const GroupHeader>(std::move(parsed));
  last_bytes_ = header;
  headers_.emplace(last_bytes_, last_);
  return last_;
}

absl::StatusOr<GroupView> GroupView::Parse(std::string_view group, GroupHeaderCache& cache) {
  if (group.size() > limits::kMaxGroupBytes) return Malformed("it is larger than a group may be");
  wire::Reader in(group);
  if (!in.Tag(BytesTag(1))) return Malformed("no header");
  const auto header = in.LengthAndBytes(kMaxHeaderBytes);
  if (!header) return Malformed("its header is too large or cut off");
  GroupView out;
  out.bytes_ = group;
  out.header_bytes_ = group.substr(0, static_cast<size_t>(in.position() - group.data()));
  KS_ASSIGN_OR_RETURN(out.header_, cache.Get(*header));
  uint64_t least = 0;
  while (!in.done()) {
    if (!in.Tag(BytesTag(2))) return Malformed("it has more fields than known");
    const auto bytes = in.LengthAndBytes(limits::kMaxGroupBytes);
    if (!bytes) return Malformed("a record is cut off");
    if (out.records_.size() == limits::kMaxRecordsPerGroup) return Malformed("too many records");
    KS_ASSIGN_OR_RETURN(const RecordView record, ParseRecord(*bytes));
    // The last number of all is not used: "one past the end" must always exist.
    if (record.sequence < least || record.sequence == UINT64_MAX) return Malformed("sequences do not rise");
    least = record.sequence + 1;
    out.records_.push_back(record);
  }
  if (out.records_.empty()) return Malformed("no records");
  return out;
}

std::string EncodeGroupHeader(const GroupHeader& header) {
  std::string body;
  wire::PutBytes(body, 1, header.tenant.str());
  wire::PutBytes(body, 2, AsChars(header.instantiation.view()));
  wire::PutBytes(body, 3, header.topic.str());
  wire::PutBytes(body, 4, AsChars(header.sender.view()));
  wire::PutNumber(body, 5, header.epoch);
  wire::PutBytes(body, 6, AsChars(header.stream.view()));
  std::string out;
  wire::PutBytes(out, 1, body);
  return out;
}

GroupBuilder::GroupBuilder(const GroupHeader& header) : GroupBuilder(EncodeGroupHeader(header)) {}

GroupBuilder::GroupBuilder(std::string header_bytes) : prefix_(std::move(header_bytes)), group_(prefix_) {}

bool GroupBuilder::Fits(size_t cose_bytes) const {
  if (records_ == limits::kMaxRecordsPerGroup) return false;
  const size_t body = RecordBodySize(UINT64_MAX, cose_bytes);  // whatever sequence it will have
  return group_.size() + 1 + wire::VarintSize(body) + body <= limits::kMaxGroupBytes;
}

absl::Status GroupBuilder::Append(uint64_t sequence, ByteView cose) {
  if (cose.empty() || cose.size() > limits::kMaxRecordBytes)
    return absl::InvalidArgumentError("a record must have 1 to 262144 bytes");
  if (sequence < next_sequence_ || sequence == UINT64_MAX)
    return absl::InvalidArgumentError("sequences must rise");
  const size_t body = RecordBodySize(sequence, cose.size());
  if (records_ == limits::kMaxRecordsPerGroup ||
      group_.size() + 1 + wire::VarintSize(body) + body > limits::kMaxGroupBytes) {
    return absl::ResourceExhaustedError("the group is full");
  }
  group_.push_back(static_cast<char>(BytesTag(2)));
  wire::PutVarint(group_, body);
  wire::PutNumber(group_, 1, sequence);
  wire::PutBytes(group_, 2, AsChars(cose));
  ++records_;
  next_sequence_ = sequence + 1;
  return absl::OkStatus();
}

Payload GroupBuilder::Take() {
  auto out = std::make_shared<const std::string>(std::move(group_));
  group_ = prefix_;
  records_ = 0;
  return out;
}

}  // namespace keystead
