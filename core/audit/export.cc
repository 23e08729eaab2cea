#include "core/audit/export.h"

#include "absl/strings/str_cat.h"
#include "core/audit/entry.h"
#include "core/base/status.h"
#include "core/cose/cbor.h"

namespace keystead::audit {
namespace {

constexpr std::string_view kMagic = "ks1 audit-export";

absl::Status ReadHeader(ByteView bytes, ExportView& out) {
  cose::CborReader reader(bytes);
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(3));
  KS_RETURN_IF_ERROR(reader.ExpectText(kMagic));
  KS_ASSIGN_OR_RETURN(out.chain_pem, reader.ReadText());
  KS_ASSIGN_OR_RETURN(out.signed_head, reader.ReadBytes());
  KS_RETURN_IF_ERROR(reader.Finish());
  if (out.chain_pem.size() > kMaxChainBytes || out.signed_head.size() > kMaxHeadBytes)
    return absl::InvalidArgumentError("longer than it can be");
  return absl::OkStatus();
}

// The length of the item that the bytes begin with.
absl::StatusOr<size_t> ItemSize(ByteView bytes) {
  cose::CborReader reader(bytes);
  KS_RETURN_IF_ERROR(reader.ReadItem().status());
  return reader.position();
}

}  // namespace

Bytes EncodeExportHeader(std::string_view chain_pem, ByteView signed_head) {
  return cose::EncodeArray(kMagic, chain_pem, signed_head);
}

absl::StatusOr<ExportView> ParseExport(ByteView file) {
  if (file.size() > kMaxExportBytes) return absl::InvalidArgumentError("longer than an export can be");
  const absl::StatusOr<size_t> header = ItemSize(file);
  ExportView out;
  if (!header.ok() || !ReadHeader(file.first(*header), out).ok())
    return absl::InvalidArgumentError("this is no export of an audit log");
  for (ByteView rest = file.subspan(*header); !rest.empty();) {
    const absl::StatusOr<size_t> size = ItemSize(rest);
    if (!size.ok() || *size > kMaxEntryBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("the export is damaged or cut off behind ", out.entries.size(), " entries"));
    }
    out.entries.push_back(rest.first(*size));
    rest = rest.subspan(*size);
  }
  return out;
}

}  // namespace keystead::audit
