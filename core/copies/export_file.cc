#include "core/copies/export_file.h"

#include "core/audit/export.h"
#include "core/base/status.h"
#include "core/cose/cbor.h"

namespace keystead::copies {
namespace {

constexpr std::string_view kMagic = "ks1 export";
constexpr size_t kNumberBytes = 8;
constexpr size_t kCommitPrefixBytes = InstantiationId::kSize + 2 * kNumberBytes;
constexpr size_t kMaxSignatureBytes = 1024;

absl::Status Malformed() { return absl::InvalidArgumentError("a malformed frame"); }

uint64_t Micros(absl::Time time) { return static_cast<uint64_t>(absl::ToUnixMicros(time)); }

void Put(std::string& out, uint64_t value) {
  for (size_t i = kNumberBytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t Get(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

std::string EncodeExportHeader(const ExportHeader& header) {
  return ToString(cose::EncodeArray(kMagic, header.provider, header.tenant, Micros(header.taken)));
}

absl::StatusOr<ExportHeader> DecodeExportHeader(const Frame& frame) {
  if (frame.kind != 'H') return Malformed();
  cose::CborReader reader(AsBytes(frame.payload));
  ExportHeader out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(4));
  KS_RETURN_IF_ERROR(reader.ExpectText(kMagic));
  KS_ASSIGN_OR_RETURN(const std::string_view provider, reader.ReadText());
  out.provider = std::string(provider);
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, reader.ReadText());
  KS_ASSIGN_OR_RETURN(out.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(const uint64_t micros, reader.ReadUint());
  KS_RETURN_IF_ERROR(reader.Finish());
  if (micros > INT64_MAX) return Malformed();
  out.taken = absl::FromUnixMicros(static_cast<int64_t>(micros));
  return out;
}

std::string EncodeExportedCommit(const ExportedCommit& commit) {
  std::string out = commit.instantiation.ToString();
  Put(out, commit.epoch);
  Put(out, Micros(commit.taken));
  return out.append(commit.bundle);
}

absl::StatusOr<ExportedCommit> DecodeExportedCommit(const Frame& frame) {
  const std::string_view bytes = frame.payload;
  if (frame.kind != kCommitKind || bytes.size() <= kCommitPrefixBytes) return Malformed();
  ExportedCommit out;
  KS_ASSIGN_OR_RETURN(out.instantiation, InstantiationId::FromBytes(bytes.substr(0, InstantiationId::kSize)));
  out.epoch = Get(bytes.substr(InstantiationId::kSize, kNumberBytes));
  out.taken = absl::FromUnixMicros(
      static_cast<int64_t>(Get(bytes.substr(InstantiationId::kSize + kNumberBytes, kNumberBytes))));
  out.bundle = bytes.substr(kCommitPrefixBytes);
  return out;
}

std::string EncodeExportTrailer(const ExportTrailer& trailer) {
  return ToString(cose::EncodeArray(trailer.frames, trailer.digest, trailer.chain_pem, trailer.signature));
}

absl::StatusOr<ExportTrailer> DecodeExportTrailer(const Frame& frame) {
  if (frame.kind != kTrailerKind) return Malformed();
  cose::CborReader reader(AsBytes(frame.payload));
  ExportTrailer out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(out.frames, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(out.digest, reader.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(const std::string_view chain, reader.ReadText());
  KS_ASSIGN_OR_RETURN(const ByteView signature, reader.ReadBytes());
  KS_RETURN_IF_ERROR(reader.Finish());
  if (chain.size() > audit::kMaxChainBytes || signature.size() > kMaxSignatureBytes) return Malformed();
  out.chain_pem = std::string(chain);
  out.signature = ToBytes(signature);
  return out;
}

Bytes ExportSignaturePayload(const ExportHeader& header, uint64_t frames, const Digest& digest) {
  return cose::EncodeArray(header.provider, header.tenant, Micros(header.taken), frames, digest);
}

}  // namespace keystead::copies
