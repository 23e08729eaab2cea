#include "core/cose/cbor.h"

#include <set>
#include <utility>

#include "core/base/status.h"

namespace keystead::cose {
namespace {

// Recursion is bounded: the reader refuses depth beyond limits::kMaxCborDepth.
absl::StatusOr<CborValue> ReadValue(CborReader& reader) {
  CborValue out;
  KS_ASSIGN_OR_RETURN(out.type, reader.Peek());
  switch (out.type) {
    case CborType::kUint: {
      KS_ASSIGN_OR_RETURN(out.argument, reader.ReadUint());
      break;
    }
    case CborType::kNegative: {
      KS_ASSIGN_OR_RETURN(out.argument, reader.ReadNegativeArgument());
      break;
    }
    case CborType::kBytes: {
      KS_ASSIGN_OR_RETURN(const ByteView bytes, reader.ReadBytes());
      out.bytes = ToBytes(bytes);
      break;
    }
    case CborType::kText: {
      KS_ASSIGN_OR_RETURN(const std::string_view text, reader.ReadText());
      out.text = std::string(text);
      break;
    }
    case CborType::kArray: {
      KS_ASSIGN_OR_RETURN(const size_t items, reader.ReadArray());
      for (size_t i = 0; i < items; ++i) {
        KS_ASSIGN_OR_RETURN(CborValue item, ReadValue(reader));
        out.items.push_back(std::move(item));
      }
      break;
    }
    case CborType::kMap: {
      KS_ASSIGN_OR_RETURN(const size_t pairs, reader.ReadMap());
      std::set<Bytes> keys;  // strict reading has refused repeated keys already; lenient reading has not
      for (size_t i = 0; i < pairs; ++i) {
        KS_ASSIGN_OR_RETURN(CborValue key, ReadValue(reader));
        if (!keys.insert(EncodeCbor(key)).second) return absl::InvalidArgumentError("CBOR: map key repeated");
        KS_ASSIGN_OR_RETURN(CborValue value, ReadValue(reader));
        out.pairs.push_back({std::move(key), std::move(value)});
      }
      break;
    }
    case CborType::kTag: {
      KS_ASSIGN_OR_RETURN(out.argument, reader.ReadTag());
      KS_ASSIGN_OR_RETURN(CborValue item, ReadValue(reader));
      out.items.push_back(std::move(item));
      break;
    }
    case CborType::kBool: {
      KS_ASSIGN_OR_RETURN(const bool value, reader.ReadBool());
      out.argument = value ? 1 : 0;
      break;
    }
    case CborType::kNull: {
      KS_RETURN_IF_ERROR(reader.ReadNull());
      break;
    }
  }
  return out;
}

}  // namespace

bool CborValue::IsInt(int64_t value) const {
  if (value >= 0) return type == CborType::kUint && argument == static_cast<uint64_t>(value);
  return type == CborType::kNegative && argument == ~static_cast<uint64_t>(value);
}

const CborValue* CborValue::Find(int64_t key) const {
  for (const auto& [k, v] : pairs) {
    if (k.IsInt(key)) return &v;
  }
  return nullptr;
}

absl::StatusOr<CborValue> ParseCbor(ByteView input, const CborOptions& options) {
  CborReader reader(input, options);
  KS_ASSIGN_OR_RETURN(CborValue value, ReadValue(reader));
  KS_RETURN_IF_ERROR(reader.Finish());
  return value;
}

void WriteCbor(const CborValue& value, CborWriter& w) {
  switch (value.type) {
    case CborType::kUint:
      w.Uint(value.argument);
      break;
    case CborType::kNegative:
      w.NegativeArgument(value.argument);
      break;
    case CborType::kBytes:
      w.Bstr(value.bytes);
      break;
    case CborType::kText:
      w.Text(value.text);
      break;
    case CborType::kArray:
      w.Array(value.items.size());
      for (const CborValue& item : value.items) WriteCbor(item, w);
      break;
    case CborType::kMap:
      w.Map(value.pairs.size());
      for (const auto& [key, item] : value.pairs) {
        WriteCbor(key, w);
        WriteCbor(item, w);
      }
      break;
    case CborType::kTag:
      w.Tag(value.argument);
      for (const CborValue& item : value.items) WriteCbor(item, w);
      break;
    case CborType::kBool:
      w.Bool(value.argument != 0);
      break;
    case CborType::kNull:
      w.Null();
      break;
  }
}

Bytes EncodeCbor(const CborValue& value) {
  CborWriter w;
  WriteCbor(value, w);
  return w.Take();
}

}  // namespace keystead::cose
