#include "infra-sim/group_view.h"

#include "core/transport/wire.h"

namespace keystead::infra {
std::optional<GroupOutline> ScanGroup(std::string_view bytes) {
  GroupOutline out;
  wire::Reader group(bytes);
  if (!group.Tag(wire::BytesTag(1))) return std::nullopt;
  const auto header = group.LengthAndBytes(bytes.size());
  if (!header.has_value()) return std::nullopt;
  out.header = *header;
  while (!group.done()) {
    if (!group.Tag(wire::BytesTag(2))) return std::nullopt;
    const auto content = group.LengthAndBytes(bytes.size());
    if (!content.has_value()) return std::nullopt;
    wire::Reader record(*content);
    if (record.Tag(wire::VarintTag(1)) && !record.Varint().has_value()) return std::nullopt;
    if (record.Tag(wire::BytesTag(2))) {
      const auto cose = record.LengthAndBytes(content->size());
      if (!cose.has_value()) return std::nullopt;
      out.cose_bytes += cose->size();
    }
    if (!record.done()) return std::nullopt;
    ++out.records;
  }
  return out;
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
