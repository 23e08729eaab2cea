// A SealedGroup seen from outside without taking it apart: where its header stands and how many records and
// COSE bytes it has. One pass over the wire format (protobuf encoding, "Message Structure"), no copies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "keystead/v1/records.pb.h"

namespace keystead::infra {

struct GroupView {
  std::string_view header;  // the encoded StreamHeader; views what was scanned
  uint64_t records = 0;
  uint64_t cose_bytes = 0;
};

// Nothing when the bytes are no SealedGroup on the wire. Reads only lengths: UTF-8 and inner sizes unchecked.
std::optional<GroupView> ScanGroup(std::string_view bytes);

// The whole of it, checked by protobuf; nothing when it does not parse.
std::optional<v1::SealedGroup> ParseGroup(std::string_view bytes);

// The same header with one record, as its own group on the wire.
std::string OneRecordGroup(const v1::StreamHeader& header, uint64_t sequence, std::string_view cose);

}  // namespace keystead::infra
