#include "infra-sim/group_view.h"

#include <cstddef>

namespace keystead::infra {
namespace {

constexpr uint64_t kVarint = 0;
constexpr uint64_t kFixed64 = 1;
constexpr uint64_t kLength = 2;
constexpr uint64_t kFixed32 = 5;

// Walks the fields of one message.
class WireReader {
 public:
  explicit WireReader(std::string_view in) : in_(in) {}

  struct Field {
    uint64_t number = 0;
    std::string_view content;  // of length-delimited fields
  };

  // False at the end and after an error; then ok() tells which.
  bool Next(Field& field) {
    if (in_.empty()) return false;
    uint64_t key = 0;
    if (!Varint(key)) return Fail();
    field = {.number = key >> 3, .content = {}};
    uint64_t size = 0;
    switch (key & 7) {
      case kVarint:
        return Varint(size) || Fail();
      case kFixed64:
        size = 8;
        break;
      case kFixed32:
        size = 4;
        break;
      case kLength:
        if (!Varint(size)) return Fail();
        break;
      default:
        return Fail();
    }
    if (size > in_.size()) return Fail();
    if ((key & 7) == kLength) field.content = in_.substr(0, size);
    in_.remove_prefix(size);
    return true;
  }
  bool ok() const { return ok_; }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }
  bool Varint(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !in_.empty(); shift += 7) {
      const uint8_t byte = static_cast<uint8_t>(in_.front());
      in_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace

std::optional<GroupView> ScanGroup(std::string_view bytes) {
  GroupView view;
  WireReader group(bytes);
  WireReader::Field field;
  while (group.Next(field)) {
    if (field.number == 1) view.header = field.content;
    if (field.number != 2) continue;
    ++view.records;
    WireReader record(field.content);
    WireReader::Field inner;
    while (record.Next(inner)) {
      if (inner.number == 2) view.cose_bytes += inner.content.size();
    }
    if (!record.ok()) return std::nullopt;
  }
  if (!group.ok()) return std::nullopt;
  return view;
}

std::optional<v1::SealedGroup> ParseGroup(std::string_view bytes) {
  v1::SealedGroup group;
  if (!group.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return group;
}

std::string OneRecordGroup(const v1::StreamHeader& header, uint64_t sequence, std::string_view cose) {
  v1::SealedGroup group;
  *group.mutable_header() = header;
  v1::SealedRecord& record = *group.add_records();
  record.set_sequence(sequence);
  record.set_cose(std::string(cose));
  return group.SerializeAsString();
}

}  // namespace keystead::infra
