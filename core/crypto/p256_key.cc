#include "core/crypto/p256_key.h"

#include <openssl/obj_mac.h>

#include <utility>

#include "core/base/status.h"

namespace keystead::crypto {
namespace {

constexpr uint8_t kUncompressed = 0x04;

const EC_GROUP* Group() {
  static const EC_GROUP* const group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);  // for ever
  return group;
}

// `scalar` null: a public key.
absl::StatusOr<PkeyPtr> Build(ByteView point, const BIGNUM* scalar) {
  const ParamBldPtr builder(OSSL_PARAM_BLD_new());
  if (builder == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) !=
          1 ||
      (scalar != nullptr &&
       OSSL_PARAM_BLD_push_BN_pad(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, scalar, kP256ScalarBytes) != 1)) {
    return OpenSslFailure("P-256 key parameters failed");
  }
  const ParamPtr params(OSSL_PARAM_BLD_to_param(builder.get()));
  const PkeyCtxPtr ctx(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* pkey = nullptr;
  if (params == nullptr || ctx == nullptr || EVP_PKEY_fromdata_init(ctx.get()) != 1) {
    return OpenSslFailure("P-256 key import failed");
  }
  if (EVP_PKEY_fromdata(ctx.get(), &pkey, scalar != nullptr ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                        params.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("not a point on P-256");
  }
  return PkeyPtr(pkey);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const P256Key>> ImportPublic(ByteView point) {
  if (point.size() != kP256PointBytes || point[0] != kUncompressed) {
    return absl::InvalidArgumentError("a P-256 point has 65 bytes and begins with 04");
  }
  ERR_clear_error();
  KS_ASSIGN_OR_RETURN(PkeyPtr pkey, Build(point, nullptr));
  const PkeyCtxPtr check(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey.get(), nullptr));
  if (check == nullptr) return OpenSslFailure("P-256 key check failed");
  // The import above already refuses points off the curve; this says so again in the library's own words.
  if (EVP_PKEY_public_check(check.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("not a point on P-256");
  }
  return std::make_shared<const P256Key>(P256Key{std::move(pkey)});
}

absl::StatusOr<ImportedPrivate> ImportPrivate(ByteView scalar) {
  if (scalar.size() != kP256ScalarBytes) return absl::InvalidArgumentError("a P-256 scalar has 32 bytes");
  ERR_clear_error();
  const BnPtr d(BN_bin2bn(scalar.data(), static_cast<int>(kP256ScalarBytes), nullptr));
  const EC_GROUP* const group = Group();
  const BnCtxPtr bn_ctx(BN_CTX_new());
  if (d == nullptr || group == nullptr || bn_ctx == nullptr) return OpenSslFailure("P-256 import failed");
  BN_set_flags(d.get(), BN_FLG_CONSTTIME);
  if (BN_is_zero(d.get()) || BN_cmp(d.get(), EC_GROUP_get0_order(group)) >= 0) {
    return absl::InvalidArgumentError("a P-256 scalar lies between 1 and n-1");
  }
  const EcPointPtr q(EC_POINT_new(group));
  ImportedPrivate out;
  if (q == nullptr || EC_POINT_mul(group, q.get(), d.get(), nullptr, nullptr, bn_ctx.get()) != 1 ||
      EC_POINT_point2oct(group, q.get(), POINT_CONVERSION_UNCOMPRESSED, out.point.data(), out.point.size(),
                         bn_ctx.get()) != out.point.size()) {
    return OpenSslFailure("P-256 public point failed");
  }
  KS_ASSIGN_OR_RETURN(PkeyPtr pkey, Build(out.point, d.get()));
  out.key = std::make_shared<const P256Key>(P256Key{std::move(pkey)});
  return out;
}

SecretBytes ExportScalar(const P256Key& key) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key.pkey.get(), OSSL_PKEY_PARAM_PRIV_KEY, &raw) != 1) {
    ERR_clear_error();
    return {};
  }
  const BnPtr d(raw);
  SecretBytes out(kP256ScalarBytes);
  if (BN_bn2binpad(d.get(), out.MutableSecret().data(), static_cast<int>(out.size())) != kP256ScalarBytes)
    return {};
  return out;
}

}  // namespace keystead::crypto
