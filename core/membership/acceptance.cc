#include "core/membership/acceptance.h"

#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/membership/signed_object.h"

namespace keystead {
namespace {

SignedPlace PlaceOf(const Acceptance& acceptance) {
  SignedPlace place;
  place.tenant = acceptance.tenant;
  place.id = acceptance.id;
  return place;
}

absl::StatusOr<Acceptance> Parse(ByteView payload) {
  cose::CborReader r(payload);
  Acceptance out;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(6));
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, r.ReadText());
  KS_ASSIGN_OR_RETURN(out.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(out.id, r.ReadId<InstantiationId>());
  KS_ASSIGN_OR_RETURN(out.device_ckt, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(out.owner_ckt, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(out.reset_counter, r.ReadUint());
  KS_ASSIGN_OR_RETURN(out.m1_hash, r.ReadId<Digest>());
  KS_RETURN_IF_ERROR(r.Finish());
  return out;
}

}  // namespace

absl::StatusOr<Bytes> SignAcceptance(const crypto::EcdsaKeyPair& ik, const Acceptance& a) {
  const Bytes payload =
      cose::EncodeArray(a.tenant, a.id, a.device_ckt, a.owner_ckt, a.reset_counter, a.m1_hash);
  return SignObject(ik, kinds::kAcceptance, PlaceOf(a), payload);
}

absl::StatusOr<Acceptance> VerifyAcceptance(ByteView object, const crypto::EcdsaPublicKey& ik) {
  KS_ASSIGN_OR_RETURN(const ByteView claimed, UnverifiedPayload(object));
  KS_ASSIGN_OR_RETURN(const Acceptance acceptance, Parse(claimed));
  if (acceptance.device_ckt != cose::Ckt(ik))
    return absl::UnauthenticatedError("acceptance is of another device");
  KS_RETURN_IF_ERROR(VerifyObject(object, ik, kinds::kAcceptance, PlaceOf(acceptance)).status());
  return acceptance;
}

absl::StatusOr<Digest> UnverifiedDeviceCkt(ByteView object) {
  KS_ASSIGN_OR_RETURN(const ByteView claimed, UnverifiedPayload(object));
  KS_ASSIGN_OR_RETURN(const Acceptance acceptance, Parse(claimed));
  return acceptance.device_ckt;
}

}  // namespace keystead
