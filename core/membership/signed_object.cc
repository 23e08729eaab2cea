#include "core/membership/signed_object.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/cose/cbor.h"
#include "core/cose/sign1.h"
#include "core/crypto/errors.h"

namespace keystead {
namespace {

// The order of P-256 and half of it, rounded down (SEC 2, section 2.4.2).
constexpr std::array<uint8_t, 32> kOrder = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                            0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                            0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
constexpr std::array<uint8_t, 32> kHalfOrder = {
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8};

// (r, s) and (r, n - s) both verify, so whoever carries an object could give it a second hash. Of the two
// only the one with the smaller s counts.
bool HasSmallerS(ByteView signature) {
  return !std::ranges::lexicographical_compare(kHalfOrder, signature.last(kHalfOrder.size()));
}

// s becomes n - s.
void NegateS(std::span<uint8_t> signature) {
  const std::span<uint8_t> s = signature.last(kOrder.size());
  int borrow = 0;
  for (size_t i = kOrder.size(); i-- > 0;) {
    const int digit = int{kOrder[i]} - int{s[i]} - borrow;
    borrow = digit < 0 ? 1 : 0;
    s[i] = static_cast<uint8_t>(digit + (borrow << 8));
  }
}

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
  KS_ASSIGN_OR_RETURN(Bytes object, cose::SignSign1(key, Typ(kind), payload, SignatureAad(kind, place)));
  // The signature is the last item of the array: the object ends with it.
  if (const std::span<uint8_t> signature = std::span(object).last(crypto::kSignatureBytes);
      !HasSmallerS(signature)) {
    NegateS(signature);
  }
  return object;
}

absl::StatusOr<ByteView> VerifyObject(ByteView object, const crypto::EcdsaPublicKey& key,
                                      std::string_view kind, const SignedPlace& place) {
  KS_ASSIGN_OR_RETURN(const cose::Sign1View view, cose::ParseSign1(object));
  if (!HasSmallerS(view.signature)) return crypto::BadSignature();
  KS_RETURN_IF_ERROR(cose::VerifySign1(view, key, Typ(kind), SignatureAad(kind, place)));
  return view.payload;
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
