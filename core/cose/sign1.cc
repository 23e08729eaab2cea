#include "core/cose/sign1.h"

#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_numbers.h"
#include "core/crypto/errors.h"

namespace keystead::cose {

Bytes SigStructure(ByteView protected_bytes, ByteView external_aad, ByteView payload) {
  const bool empty = protected_bytes.size() == 1 && protected_bytes[0] == 0xa0;
  Bytes out;
  out.reserve(48 + protected_bytes.size() + external_aad.size() + payload.size());
  CborWriter w(out);
  w.Array(4).Text("Signature1").Bstr(empty ? ByteView() : protected_bytes).Bstr(external_aad).Bstr(payload);
  return out;
}

absl::StatusOr<Sign1View> ParseSign1(ByteView object) {
  CborReader reader(object);
  Sign1View out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(4));
  KS_ASSIGN_OR_RETURN(out.protected_bytes, reader.ReadBytes());
  KS_RETURN_IF_ERROR(reader.ReadMapOf(0));
  KS_ASSIGN_OR_RETURN(out.payload, reader.ReadBytes());
  KS_ASSIGN_OR_RETURN(out.signature, reader.ReadBytes(crypto::kSignatureBytes));
  KS_RETURN_IF_ERROR(reader.Finish());

  CborReader header(out.protected_bytes);
  KS_RETURN_IF_ERROR(header.ReadMapOf(2));
  KS_RETURN_IF_ERROR(header.ExpectInt(kHeaderAlg));
  KS_ASSIGN_OR_RETURN(const int64_t alg, header.ReadInt());
  if (alg != kAlgEs256 && alg != kAlgEsp256)
    return absl::InvalidArgumentError("COSE_Sign1: algorithm is not ES256");
  KS_RETURN_IF_ERROR(header.ExpectInt(kHeaderTyp));
  KS_ASSIGN_OR_RETURN(out.typ, header.ReadText());
  if (out.typ.empty() || out.typ.size() > kMaxTypBytes) {
    return absl::InvalidArgumentError("COSE_Sign1: typ has 1 to 64 bytes");
  }
  KS_RETURN_IF_ERROR(header.Finish());
  return out;
}

absl::Status VerifySign1(const Sign1View& object, const crypto::EcdsaPublicKey& key, std::string_view typ,
                         ByteView external_aad) {
  if (object.typ != typ) return crypto::BadSignature();
  return key.Verify(SigStructure(object.protected_bytes, external_aad, object.payload), object.signature);
}

absl::StatusOr<ByteView> OpenSign1(ByteView object, const crypto::EcdsaPublicKey& key, std::string_view typ,
                                   ByteView external_aad) {
  KS_ASSIGN_OR_RETURN(const Sign1View view, ParseSign1(object));
  KS_RETURN_IF_ERROR(VerifySign1(view, key, typ, external_aad));
  return view.payload;
}

absl::StatusOr<Bytes> SignSign1(const crypto::EcdsaKeyPair& key, std::string_view typ, ByteView payload,
                                ByteView external_aad) {
  if (typ.empty() || typ.size() > kMaxTypBytes)
    return absl::InvalidArgumentError("COSE_Sign1: typ has 1 to 64 bytes");
  CborWriter header;
  header.Map(2).Int(kHeaderAlg).Int(kAlgEs256).Int(kHeaderTyp).Text(typ);
  KS_ASSIGN_OR_RETURN(const crypto::Signature signature,
                      key.Sign(SigStructure(header.bytes(), external_aad, payload)));
  CborWriter w;
  w.Array(4).Bstr(header.bytes()).Map(0).Bstr(payload).Bstr(signature);
  return w.Take();
}

}  // namespace keystead::cose
