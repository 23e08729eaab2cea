// Deterministic CBOR: writer, reader, and a tree for tools and tests. docs/cose.md, "CBOR".
#pragma once

#include <string>
#include <vector>

#include "core/cose/cbor_reader.h"
#include "core/cose/cbor_writer.h"

namespace keystead::cose {

struct CborPair;

// One decoded item that owns its content. For tools; the protocol reads through CborReader.
struct CborValue {
  CborType type = CborType::kNull;
  uint64_t argument = 0;         // kUint: the value; kNegative: n of -1 - n; kTag: the tag; kBool: 0 or 1
  Bytes bytes;                   // kBytes
  std::string text;              // kText
  std::vector<CborValue> items;  // kArray; kTag: the one tagged item
  std::vector<CborPair> pairs;   // kMap, in the order received

  const CborValue* Find(int64_t key) const;  // null when this is no map or has no such key
  bool IsInt(int64_t value) const;
};

struct CborPair {
  CborValue key;
  CborValue value;
};

// The whole of `input` as one item; INVALID_ARGUMENT as CborReader, and for bytes left over.
absl::StatusOr<CborValue> ParseCbor(ByteView input, const CborOptions& options = {});
void WriteCbor(const CborValue& value, CborWriter& writer);  // pairs in the order they stand in
Bytes EncodeCbor(const CborValue& value);

}  // namespace keystead::cose
