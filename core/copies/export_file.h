// An export of one tenant: its commits and its sealed groups as they were handed in, for the tenant to take
// away, in the frames of frame_file.h. docs/decisions/0032-backup-restore-export.md.
//
//   'H'  CBOR [ "ks1 export", provider, tenant, taken (µs since 1970) ]; the first. Provider may be empty
//   'G'  taken by this provider as it is: a group (docs/protocol.md, "Groups"), in the order of its topic
//   'C'  instantiation(16) epoch(8) taken(8, µs since 1970) bundle   a commit, in the order of epochs
//   'Z'  CBOR [ frames, SHA-256 of all before, certificates of the signer (PEM, text), signature (bytes) ]
//
// The signature is a COSE_Sign1 of typ "ks1/export" by spiffe://<provider>/service/audit over the CBOR array
// [ provider, tenant, taken, frames, digest ]. Both are empty where the provider has no such key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/copies/frame_file.h"

namespace keystead::copies {

inline constexpr std::string_view kExportTyp = "ks1/export";
inline constexpr char kGroupKind = 'G';
inline constexpr char kCommitKind = 'C';

struct ExportHeader {
  std::string provider;
  TenantName tenant;
  absl::Time taken;
};
struct ExportedCommit {
  InstantiationId instantiation;
  uint64_t epoch = 0;
  absl::Time taken;  // when the provider took it, by its own clock
  std::string_view bundle;
};
struct ExportTrailer {
  uint64_t frames = 0;
  Digest digest;
  std::string chain_pem;
  Bytes signature;
};

std::string EncodeExportHeader(const ExportHeader& header);
std::string EncodeExportedCommit(const ExportedCommit& commit);
std::string EncodeExportTrailer(const ExportTrailer& trailer);
Bytes ExportSignaturePayload(const ExportHeader& header, uint64_t frames, const Digest& digest);

// INVALID_ARGUMENT from each: not what the encoders make.
absl::StatusOr<ExportHeader> DecodeExportHeader(const Frame& frame);
absl::StatusOr<ExportedCommit> DecodeExportedCommit(const Frame& frame);  // a view into the frame
absl::StatusOr<ExportTrailer> DecodeExportTrailer(const Frame& frame);

}  // namespace keystead::copies
