#include "core/copies/export_verify.h"

#include "absl/strings/str_cat.h"
#include "core/audit/head.h"
#include "core/base/status.h"
#include "core/cose/sign1.h"
#include "core/identity/signer.h"

namespace keystead::copies {

absl::Status ExportVerifier::Feed(std::string_view bytes) {
  reader_.Feed(bytes);
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::optional<Frame> frame, reader_.Next());
    if (!frame.has_value()) return absl::OkStatus();
    KS_RETURN_IF_ERROR(Take(*frame));
  }
}

absl::Status ExportVerifier::Take(const Frame& frame) {
  if (!has_header_) {
    has_header_ = true;
    const absl::StatusOr<ExportHeader> header = DecodeExportHeader(frame);
    if (!header.ok()) return absl::InvalidArgumentError("this is no export");
    out_.header = *header;
    return absl::OkStatus();
  }
  switch (frame.kind) {
    case kGroupKind:
      return TakeGroup(frame);
    case kCommitKind:
      return TakeCommit(frame);
    case kTrailerKind: {
      KS_ASSIGN_OR_RETURN(trailer_, DecodeExportTrailer(frame));
      return absl::OkStatus();
    }
    default:
      return absl::InvalidArgumentError("a frame that no export has");
  }
}

absl::Status ExportVerifier::TakeGroup(const Frame& frame) {
  const absl::StatusOr<GroupView> group = GroupView::Parse(frame.payload, headers_);
  if (!group.ok() || group->header().tenant != out_.header.tenant)
    return absl::InvalidArgumentError(absl::StrCat("group number ", out_.groups, " is none of this tenant"));
  ++out_.groups;
  out_.records += group->records().size();
  out_.bytes += frame.payload.size();
  return absl::OkStatus();
}

absl::Status ExportVerifier::TakeCommit(const Frame& frame) {
  KS_ASSIGN_OR_RETURN(const ExportedCommit commit, DecodeExportedCommit(frame));
  const auto [chain, is_new] =
      chains_.try_emplace(commit.instantiation, MembershipChain(out_.header.tenant, commit.instantiation));
  const absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(AsBytes(commit.bundle));
  if (!bundle.ok() || !chain->second.Apply(*bundle).ok() || chain->second.epoch() != commit.epoch) {
    return absl::InvalidArgumentError(
        absl::StrCat("commit ", commit.epoch, " of ", commit.instantiation.ToHex(), " does not verify"));
  }
  ++out_.commits;
  return absl::OkStatus();
}

absl::StatusOr<VerifiedExport> ExportVerifier::Finish(std::string_view provider_ca_pem) {
  KS_RETURN_IF_ERROR(reader_.Finish());
  if (trailer_.frames != reader_.frames() || trailer_.digest != reader_.digest())
    return absl::InvalidArgumentError("it was edited: its end does not fit it");
  out_.instantiations = chains_.size();
  if (provider_ca_pem.empty()) return out_;
  if (trailer_.signature.empty()) return absl::UnauthenticatedError("the provider has not signed it");
  KS_ASSIGN_OR_RETURN(const Signer signer,
                      VerifySigner(trailer_.chain_pem, provider_ca_pem, out_.header.taken));
  if (signer.id.role() != Role::kService || signer.id.id() != audit::kSignerName ||
      signer.id.tenant().str() != out_.header.provider) {
    return absl::UnauthenticatedError(
        absl::StrCat("it is signed by ", signer.id.str(), ", whose key is not for exports"));
  }
  KS_ASSIGN_OR_RETURN(const ByteView payload,
                      cose::OpenSign1(trailer_.signature, signer.key, kExportTyp, {}));
  const Bytes expected = ExportSignaturePayload(out_.header, trailer_.frames, trailer_.digest);
  if (AsChars(payload) != AsChars(expected))
    return absl::UnauthenticatedError("the signature is of another export");
  out_.signer = signer.id.str();
  return out_;
}

}  // namespace keystead::copies
