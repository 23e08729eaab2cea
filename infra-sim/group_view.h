// A SealedGroup seen from outside without taking it apart: where its header stands and how many records and
// COSE bytes it has. One pass over the one encoding that a group has (core/transport/group_view.h), with the
// same reader of it (core/transport/wire.h), no copies. Unlike there nothing is checked: an eavesdropper also
// notes headers that no hop would accept, and the messages of pseudo-topics, which have none of their fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "keystead/v1/records.pb.h"

namespace keystead::infra {

struct GroupOutline {
  std::string_view header;  // the encoded StreamHeader; views what was scanned
  uint64_t records = 0;
  uint64_t cose_bytes = 0;
};

// Nothing when the bytes are not a SealedGroup in that encoding. Pure; any bytes may be given.
std::optional<GroupOutline> ScanGroup(std::string_view bytes);

// The whole of it, checked by protobuf; nothing when it does not parse.
std::optional<v1::SealedGroup> ParseGroup(std::string_view bytes);

// The same header with one record, as its own group on the wire.
std::string OneRecordGroup(const v1::StreamHeader& header, uint64_t sequence, std::string_view cose);

}  // namespace keystead::infra
