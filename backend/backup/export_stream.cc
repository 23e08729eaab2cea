#include "backend/backup/export_stream.h"

#include <utility>

#include "backend/at_rest/row_crypt.h"
#include "backend/rows.h"
#include "core/base/big_endian.h"
#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/cose/sign1.h"

namespace keystead::backend {

using storage::TenantItem;

namespace {

// The unprotected control of searches has nothing encrypted on the disk (vault.cc).
absl::StatusOr<std::string> GroupOf(at_rest::TenantCipher& cipher, uint32_t tenant, const TenantItem& item) {
  if (MutantActive(Mutant::kNoSealing)) return item.value;
  return cipher.Unseal(AsBytes(at_rest::EntryAad({tenant, item.log}, item.offset)), item.value);
}
absl::StatusOr<storage::Row> CommitOf(at_rest::TenantCipher& cipher, uint32_t tenant,
                                      const TenantItem& item) {
  if (MutantActive(Mutant::kNoSealing)) return storage::Row{item.key, item.value};
  return at_rest::UnsealRow(cipher, tenant, kCommitTable, item.key, item.value);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ExportStream>> ExportStream::Begin(storage::LogStore& disk,
                                                                  at_rest::Ciphers& ciphers, uint32_t tenant,
                                                                  copies::ExportHeader header,
                                                                  Signer signer) {
  KS_ASSIGN_OR_RETURN(auto cipher, ciphers.Of(tenant));
  KS_ASSIGN_OR_RETURN(auto snapshot, disk.SnapshotTenant(tenant));
  return std::unique_ptr<ExportStream>(
      new ExportStream(std::move(snapshot), std::move(cipher), tenant, std::move(header), std::move(signer)));
}

absl::Status ExportStream::Append(std::string& out, const TenantItem& item) {
  if (item.kind == TenantItem::Kind::kEntry) {
    KS_ASSIGN_OR_RETURN(const std::string group, GroupOf(*cipher_, tenant_, item));
    frames_.Append(out, copies::kGroupKind, group);
    return absl::OkStatus();
  }
  if (item.kind != TenantItem::Kind::kRow || item.table != kCommitTable) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const storage::Row row, CommitOf(*cipher_, tenant_, item));
  KS_ASSIGN_OR_RETURN(const CommitRow commit, DecodeCommit(row.value));
  const std::string_view key = row.key;
  if (key.size() != InstantiationId::kSize + sizeof(uint64_t)) return absl::DataLossError("a commit's row");
  KS_ASSIGN_OR_RETURN(const InstantiationId id,
                      InstantiationId::FromBytes(key.substr(0, InstantiationId::kSize)));
  frames_.Append(out, copies::kCommitKind,
                 copies::EncodeExportedCommit(
                     {id, GetNumber(key.substr(InstantiationId::kSize)), commit.taken, commit.bundle}));
  return absl::OkStatus();
}

absl::Status ExportStream::AppendTrailer(std::string& out) {
  copies::ExportTrailer trailer{.frames = frames_.frames(), .digest = frames_.digest()};
  const absl::StatusOr<SigningIdentity> signer = signer_();
  if (!signer.ok() && !absl::IsFailedPrecondition(signer.status())) return signer.status();
  if (signer.ok()) {
    trailer.chain_pem = signer->chain_pem;
    KS_ASSIGN_OR_RETURN(
        trailer.signature,
        cose::SignSign1(signer->key, copies::kExportTyp,
                        copies::ExportSignaturePayload(header_, trailer.frames, trailer.digest), {}));
  }
  frames_.AppendTrailer(out, copies::EncodeExportTrailer(trailer));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ExportStream::Next() {
  std::string out;
  if (snapshot_ == nullptr) return out;
  if (frames_.frames() == 0) frames_.Append(out, 'H', copies::EncodeExportHeader(header_));
  while (out.size() < kCopyChunkBytes) {  // many rows are none of the export's
    KS_ASSIGN_OR_RETURN(const std::vector<TenantItem> items, snapshot_->Next(kCopyChunkBytes));
    if (items.empty()) {
      snapshot_.reset();
      KS_RETURN_IF_ERROR(AppendTrailer(out));
      return out;
    }
    for (const TenantItem& item : items) KS_RETURN_IF_ERROR(Append(out, item));
  }
  return out;
}

}  // namespace keystead::backend
