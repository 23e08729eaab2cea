#include "core/audit/head.h"

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"

namespace keystead::audit {
namespace {

constexpr uint64_t kFields = 7;

SignedPlace PlaceOf(const TenantName& tenant) {
  SignedPlace place;
  place.tenant = tenant;
  return place;
}

bool MaySign(const SpiffeId& id) { return id.role() == Role::kService && id.id() == kSignerName; }

absl::StatusOr<Head> ParseHead(ByteView payload) {
  cose::CborReader reader(payload);
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(kFields));
  Head head;
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, reader.ReadText());
  KS_ASSIGN_OR_RETURN(head.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(head.first, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(head.before, reader.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(head.count, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(head.head, reader.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(const uint64_t micros, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(head.chain, reader.ReadId<Digest>());
  KS_RETURN_IF_ERROR(reader.Finish());
  if (micros > INT64_MAX || head.count > UINT64_MAX - head.first)
    return absl::InvalidArgumentError("a number that no head has");
  if ((head.first == 0 && head.before != Digest()) || (head.count == 0 && head.head != head.before))
    return absl::InvalidArgumentError("the head contradicts itself");
  head.time = absl::FromUnixMicros(static_cast<int64_t>(micros));
  return head;
}

}  // namespace

absl::StatusOr<Bytes> SignHead(const SigningIdentity& signer, Head head) {
  if (!MaySign(signer.id)) {
    return absl::FailedPreconditionError(absl::StrCat("the audit key belongs to ", signer.id.str(),
                                                      "; use one of spiffe://PROVIDER/service/audit"));
  }
  head.chain = crypto::Sha256(AsBytes(signer.chain_pem));
  const Bytes payload = cose::EncodeArray(head.tenant, head.first, head.before, head.count, head.head,
                                          static_cast<uint64_t>(absl::ToUnixMicros(head.time)), head.chain);
  return SignObject(signer.key, kHeadKind, PlaceOf(head.tenant), payload);
}

absl::StatusOr<Head> UnverifiedHead(ByteView signed_head) {
  KS_ASSIGN_OR_RETURN(const ByteView payload, UnverifiedPayload(signed_head));
  return ParseHead(payload);
}

absl::StatusOr<VerifiedHead> VerifyHead(ByteView signed_head, std::string_view chain_pem,
                                        std::string_view provider_ca_pem) {
  KS_ASSIGN_OR_RETURN(const Head claimed, UnverifiedHead(signed_head));
  KS_ASSIGN_OR_RETURN(const Signer signer, VerifySigner(chain_pem, provider_ca_pem, claimed.time));
  if (!MaySign(signer.id)) {
    return absl::UnauthenticatedError(
        absl::StrCat("the head is signed by ", signer.id.str(), ", whose key is not for audit logs"));
  }
  KS_ASSIGN_OR_RETURN(const ByteView payload,
                      VerifyObject(signed_head, signer.key, kHeadKind, PlaceOf(claimed.tenant)));
  KS_ASSIGN_OR_RETURN(const Head head, ParseHead(payload));
  if (head.chain != crypto::Sha256(AsBytes(chain_pem)))
    return absl::UnauthenticatedError("the certificates are not those that the head was signed with");
  return VerifiedHead{head, signer.id};
}

}  // namespace keystead::audit
