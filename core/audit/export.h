// An export as a file: a CBOR sequence (RFC 8742) of
//
//   [ "ks1 audit-export", certificates of the signer (PEM, text), signed head (byte string) ]
//   and then the entries (entry.h), one after the other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/bytes.h"

namespace keystead::audit {

inline constexpr size_t kMaxExportBytes = 512 << 20;
inline constexpr size_t kMaxHeadBytes = 1024;
inline constexpr size_t kMaxChainBytes = 64 << 10;

// Views into the file.
struct ExportView {
  std::string_view chain_pem;
  ByteView signed_head;
  std::vector<ByteView> entries;  // each is one CBOR item; whether an entry, VerifyExport looks
};

Bytes EncodeExportHeader(std::string_view chain_pem, ByteView signed_head);
// INVALID_ARGUMENT: not the file of an export. Says nothing about who made it.
absl::StatusOr<ExportView> ParseExport(ByteView file);

}  // namespace keystead::audit
