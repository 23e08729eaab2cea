#include "core/membership/signed_object.h"

#include <string>

#include "core/base/limits.h"
#include "core/cose/cbor.h"
#include "core/cose/sign1.h"

namespace keystead {
namespace {

std::string Typ(std::string_view kind) {
  std::string typ = "ks1/";
  typ += kind;
  return typ;
}

}  // namespace

Bytes SignatureAad(std::string_view kind, const SignedPlace& place) {
  std::optional<TenantName> tenant;
  if (!place.tenant.str().empty()) tenant = place.tenant;
  return cose::EncodeArray("ks1 sig", kind, tenant, place.id, place.topic, place.sender, place.stream,
                           place.epoch, place.sequence);
}

absl::StatusOr<Bytes> SignObject(const crypto::EcdsaKeyPair& key, std::string_view kind,
                                 const SignedPlace& place, ByteView payload) {
  return cose::SignSign1(key, Typ(kind), payload, SignatureAad(kind, place));
}

absl::StatusOr<ByteView> VerifyObject(ByteView object, const crypto::EcdsaPublicKey& key,
                                      std::string_view kind, const SignedPlace& place) {
  return cose::OpenSign1(object, key, Typ(kind), SignatureAad(kind, place));
}

absl::StatusOr<ByteView> UnverifiedPayload(ByteView object) {
  KS_ASSIGN_OR_RETURN(const cose::Sign1View view, cose::ParseSign1(object));
  return view.payload;
}

Bytes EncodeContent(std::string_view kind, ByteView body) { return cose::EncodeArray(kind, body); }

absl::StatusOr<ContentView> ParseContent(ByteView content) {
  cose::CborReader reader(content);
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(2));
  ContentView view;
  KS_ASSIGN_OR_RETURN(view.kind, reader.ReadText());
  KS_ASSIGN_OR_RETURN(view.body, reader.ReadBytes());
  KS_RETURN_IF_ERROR(reader.Finish());
  return view;
}

}  // namespace keystead
