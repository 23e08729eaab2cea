#include "device-sim/factory.h"

#include "absl/strings/str_cat.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"

namespace keystead::device_sim {
namespace {

constexpr std::string_view kMark = "ks1 factory";

absl::StatusOr<FactoryIdentity> Parse(const SecretBytes& encoded) {
  cose::CborReader r(encoded.ExposeSecret());
  FactoryIdentity out;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
  KS_ASSIGN_OR_RETURN(const std::string_view mark, r.ReadText());
  if (mark != kMark) return absl::InvalidArgumentError("no factory identity");
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
  w.Array(3).Text(kMark).Bstr(identity.ik.ExportPrivateScalar().ExposeSecret());
  w.Bstr(identity.setup_code.ExposeSecret());
  SecretBytes out = SecretBytes::CopyOf(plain);
  SecureWipe(plain.data(), plain.size());
  return out;
}

}  // namespace

absl::StatusOr<FactoryIdentity> LoadOrMakeFactoryIdentity(const StateFolder& folder, const std::string& id,
                                                          RandomSource& random) {
  const std::string name = id + ".factory";
  if (folder.Has(name)) {
    KS_ASSIGN_OR_RETURN(const SecretBytes encoded, folder.Read(name));
    absl::StatusOr<FactoryIdentity> identity = Parse(encoded);
    if (identity.ok()) return identity;
    return absl::DataLossError(absl::StrCat(folder.PathOf(name),
                                            " is damaged: restore it from a copy, or delete ",
                                            folder.PathOf(id), ".* to make a new device"));
  }
  FactoryIdentity identity;
  KS_ASSIGN_OR_RETURN(identity.ik, crypto::EcdsaKeyPair::Generate(random));
  identity.setup_code = random.Secret(membership::kSetupCodeBytes);
  KS_RETURN_IF_ERROR(folder.Write(name, Encode(identity)));
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

absl::Status WriteLabelOnce(const std::string& path, const membership::Label& label) {
  const absl::Status written = membership::WriteLabelFile(path, label);
  if (written.code() != absl::StatusCode::kAlreadyExists) return written;
  const absl::StatusOr<membership::Label> there = membership::ReadLabelFile(path);
  if (there.ok() && there->device_id == label.device_id && there->tenant == label.tenant &&
      there->ckt == label.ckt && there->setup_code.ConstantTimeEquals(label.setup_code)) {
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError(absl::StrCat(path, " exists and is not this device's label: remove it"));
}

}  // namespace keystead::device_sim
