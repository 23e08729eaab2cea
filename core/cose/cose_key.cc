#include "core/cose/cose_key.h"

#include "core/base/status.h"
#include "core/cose/cose_numbers.h"
#include "core/crypto/hash.h"

namespace keystead::cose {
namespace {

Bytes EncodePoint(const crypto::P256Point& point) {
  CborWriter w;
  WriteCoseKey(w, point);
  return w.Take();
}

template <class Key>
absl::StatusOr<Key> ReadKey(CborReader& reader) {
  KS_RETURN_IF_ERROR(reader.ReadMapOf(4));
  KS_RETURN_IF_ERROR(reader.ExpectInt(kKeyKty));
  KS_RETURN_IF_ERROR(reader.ExpectInt(kKtyEc2));
  KS_RETURN_IF_ERROR(reader.ExpectInt(kKeyCrv));
  KS_RETURN_IF_ERROR(reader.ExpectInt(kCrvP256));
  KS_RETURN_IF_ERROR(reader.ExpectInt(kKeyX));
  KS_ASSIGN_OR_RETURN(const ByteView x, reader.ReadBytes(crypto::kP256CoordinateBytes));
  KS_RETURN_IF_ERROR(reader.ExpectInt(kKeyY));
  KS_ASSIGN_OR_RETURN(const ByteView y, reader.ReadBytes(crypto::kP256CoordinateBytes));
  return Key::FromXy(x, y);
}

template <class Key>
absl::StatusOr<Key> DecodeKey(ByteView encoded) {
  CborReader reader(encoded);
  KS_ASSIGN_OR_RETURN(Key key, ReadKey<Key>(reader));
  KS_RETURN_IF_ERROR(reader.Finish());
  return key;
}

}  // namespace

void WriteCoseKey(CborWriter& w, const crypto::P256Point& point) {
  const ByteView view(point);
  w.Map(4).Int(kKeyKty).Int(kKtyEc2).Int(kKeyCrv).Int(kCrvP256);
  w.Int(kKeyX).Bstr(view.subspan(1, crypto::kP256CoordinateBytes));
  w.Int(kKeyY).Bstr(view.subspan(1 + crypto::kP256CoordinateBytes));
}

Bytes EncodeCoseKey(const crypto::EcdsaPublicKey& key) { return EncodePoint(key.point()); }
Bytes EncodeCoseKey(const crypto::EcdhPublicKey& key) { return EncodePoint(key.point()); }

absl::StatusOr<crypto::EcdsaPublicKey> ReadEcdsaKey(CborReader& reader) {
  return ReadKey<crypto::EcdsaPublicKey>(reader);
}
absl::StatusOr<crypto::EcdhPublicKey> ReadEcdhKey(CborReader& reader) {
  return ReadKey<crypto::EcdhPublicKey>(reader);
}

absl::StatusOr<crypto::EcdsaPublicKey> DecodeEcdsaKey(ByteView encoded) {
  return DecodeKey<crypto::EcdsaPublicKey>(encoded);
}
absl::StatusOr<crypto::EcdhPublicKey> DecodeEcdhKey(ByteView encoded) {
  return DecodeKey<crypto::EcdhPublicKey>(encoded);
}

// The encoding above has exactly the members RFC 9679 asks for, in deterministic order.
Digest Ckt(const crypto::EcdsaPublicKey& key) { return crypto::Sha256(EncodeCoseKey(key)); }
Digest Ckt(const crypto::EcdhPublicKey& key) { return crypto::Sha256(EncodeCoseKey(key)); }

}  // namespace keystead::cose
