#include "device-sim/factory.h"

#include "absl/strings/str_cat.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"

namespace keystead::device_sim {
namespace {

constexpr StateFolder::Format kFormat{"ks-device-factory", 1};

absl::StatusOr<FactoryIdentity> Parse(const SecretBytes& encoded) {
  cose::CborReader r(encoded.ExposeSecret());
  FactoryIdentity out;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
  KS_ASSIGN_OR_RETURN(const ByteView scalar, r.ReadBytes(crypto::kP256ScalarBytes));
  KS_ASSIGN_OR_RETURN(out.ik, crypto::EcdsaKeyPair::FromPrivateScalar(SecretBytes::CopyOf(scalar)));
  KS_ASSIGN_OR_RETURN(const ByteView code, r.ReadBytes(membership::kSetupCodeBytes));
  out.setup_code = SecretBytes::CopyOf(code);
  KS_RETURN_IF_ERROR(r.Finish());
  return out;
}

SecretBytes Encode(const FactoryIdentity& identity) {
  Bytes plain;
  plain.reserve(256);  // never grows, so that no copy of the secrets stays behind
  cose::CborWriter w(plain);
  w.Array(2).Bstr(identity.ik.ExportPrivateScalar().ExposeSecret());
  w.Bstr(identity.setup_code.ExposeSecret());
  SecretBytes out = SecretBytes::CopyOf(plain);
  SecureWipe(plain.data(), plain.size());
  return out;
}

}  // namespace

absl::StatusOr<FactoryIdentity> LoadOrMakeFactoryIdentity(const StateFolder& folder, const std::string& id,
                                                          RandomSource& random) {
  const std::string name = id + ".factory";
  const auto remedy = [&](const absl::Status& why) {
    return absl::Status(why.code(), absl::StrCat(why.message(), ": restore it from a copy, or delete ",
                                                 folder.PathOf(id), ".* to make a new device"));
  };
  if (folder.Has(name)) {
    absl::StatusOr<SecretBytes> encoded = folder.ReadChecked(name, kFormat);
    if (!encoded.ok()) return remedy(encoded.status());
    absl::StatusOr<FactoryIdentity> identity = Parse(*encoded);
    if (identity.ok()) return identity;
    return remedy(absl::DataLossError(absl::StrCat(folder.PathOf(name), " is damaged")));
  }
  // A device that has a past has a factory: another identity under the old keys would be neither.
  for (const std::string_view other : {".join", ".member"}) {
    if (folder.Has(id + std::string(other)))
      return remedy(absl::DataLossError(absl::StrCat(folder.PathOf(name), " is missing")));
  }
  FactoryIdentity identity;
  KS_ASSIGN_OR_RETURN(identity.ik, crypto::EcdsaKeyPair::Generate(random));
  identity.setup_code = random.Secret(membership::kSetupCodeBytes);
  KS_RETURN_IF_ERROR(folder.WriteChecked(name, kFormat, Encode(identity)));
  identity.fresh = true;
  return identity;
}

membership::Label LabelOf(const FactoryIdentity& factory, const TenantName& tenant, const std::string& id) {
  membership::Label label;
  label.tenant = tenant;
  label.device_id = id;
  label.ckt = cose::Ckt(factory.ik.public_key());
  label.setup_code = factory.setup_code.Clone();
  return label;
}

}  // namespace keystead::device_sim
