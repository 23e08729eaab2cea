#include "core/membership/notice.h"

#include "core/cose/cbor.h"

namespace keystead {

absl::StatusOr<Bytes> SignHead(const crypto::EcdsaKeyPair& owner, const SignedPlace& place,
                               const Head& head) {
  const Bytes payload = cose::EncodeArray(place.id, head.epoch, head.commit_hash, head.hseq, head.time);
  return SignObject(owner, kinds::kHead, place, payload);
}

absl::StatusOr<Head> VerifyHead(ByteView object, const crypto::EcdsaPublicKey& owner,
                                const SignedPlace& place) {
  KS_ASSIGN_OR_RETURN(const ByteView payload, VerifyObject(object, owner, kinds::kHead, place));
  cose::CborReader r(payload);
  Head head;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(5));
  KS_ASSIGN_OR_RETURN(const InstantiationId id, r.ReadId<InstantiationId>());
  KS_ASSIGN_OR_RETURN(head.epoch, r.ReadUint());
  KS_ASSIGN_OR_RETURN(head.commit_hash, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(head.hseq, r.ReadUint());
  KS_ASSIGN_OR_RETURN(head.time, r.ReadInt());
  KS_RETURN_IF_ERROR(r.Finish());
  if (place.id != id) return absl::UnauthenticatedError("head is of another instantiation");
  return head;
}

absl::StatusOr<Bytes> SignProbe(const crypto::EcdsaKeyPair& reader, const SignedPlace& place,
                                const Probe& probe) {
  return SignObject(reader, kinds::kProbe, place, cose::EncodeArray(probe.reader, probe.nonce));
}

absl::StatusOr<Probe> VerifyProbe(ByteView object, const crypto::EcdsaPublicKey& reader,
                                  const SignedPlace& place) {
  KS_ASSIGN_OR_RETURN(const ByteView payload, VerifyObject(object, reader, kinds::kProbe, place));
  cose::CborReader r(payload);
  Probe probe;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
  KS_ASSIGN_OR_RETURN(probe.reader, r.ReadId<MemberId>());
  KS_ASSIGN_OR_RETURN(probe.nonce, r.ReadId<ProbeNonce>());
  KS_RETURN_IF_ERROR(r.Finish());
  if (place.sender != probe.reader) return absl::UnauthenticatedError("probe of another reader");
  return probe;
}

}  // namespace keystead
