#include "core/identity/revocations.h"

#include <map>
#include <optional>
#include <utility>

#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/sign1.h"
#include "core/identity/deny_list_text.h"
#include "core/identity/x509.h"

namespace keystead {
namespace {

constexpr std::string_view kTyp = "ks1/revocations";

absl::StatusOr<DenyList::Entries> EntriesOf(const TenantName& tenant, std::string_view text) {
  KS_ASSIGN_OR_RETURN(auto by_tenant, ParseDenyList(text, "revocations", tenant));
  DenyList::Entries own = std::move(by_tenant[tenant]);
  if (by_tenant.size() != 1) return absl::InvalidArgumentError("revocations that name another tenant");
  return own;
}

absl::StatusOr<Revocations> ReadPayload(ByteView payload) {
  Revocations out;
  cose::CborReader r(payload);
  KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
  KS_ASSIGN_OR_RETURN(out.number, r.ReadUint());
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, r.ReadText());
  KS_ASSIGN_OR_RETURN(const std::string_view text, r.ReadText());
  KS_RETURN_IF_ERROR(r.Finish());
  if (out.number == 0) return absl::InvalidArgumentError("revocations are numbered from 1");
  KS_ASSIGN_OR_RETURN(out.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(out.entries, EntriesOf(out.tenant, text));
  out.text = std::string(text);
  return out;
}

}  // namespace

absl::StatusOr<Bytes> SignRevocations(const Revocations& revocations, const SecretBytes& ca_key_pem) {
  if (revocations.number == 0) return absl::InvalidArgumentError("revocations are numbered from 1");
  KS_RETURN_IF_ERROR(EntriesOf(revocations.tenant, revocations.text).status());
  KS_ASSIGN_OR_RETURN(const PkeyPtr key, x509::ParsePrivateKey(ca_key_pem));
  KS_ASSIGN_OR_RETURN(const crypto::EcdsaKeyPair signer, x509::ToEcdsaPair(key.get()));
  const Bytes payload = cose::EncodeArray(revocations.number, revocations.tenant.str(), revocations.text);
  KS_ASSIGN_OR_RETURN(Bytes object, cose::SignSign1(signer, kTyp, payload, {}));
  if (object.size() > kMaxRevocationBytes)
    return absl::InvalidArgumentError(
        "revocations larger than 1 MiB: deny issuers or names instead of serials");
  return object;
}

absl::StatusOr<Revocations> ReadRevocations(ByteView object) {
  if (object.size() > kMaxRevocationBytes) return absl::InvalidArgumentError("revocations larger than 1 MiB");
  KS_ASSIGN_OR_RETURN(const cose::Sign1View view, cose::ParseSign1(object));
  if (view.typ != kTyp) return absl::InvalidArgumentError("an object of another type");
  return ReadPayload(view.payload);
}

absl::StatusOr<Revocations> OpenRevocations(ByteView object, const TenantDirectory& directory) {
  // Whose key it must be stands inside; nothing else is believed before the signature is.
  KS_ASSIGN_OR_RETURN(Revocations out, ReadRevocations(object));
  KS_RETURN_IF_ERROR(directory.OpenSigned(out.tenant, object, kTyp).status());
  return out;
}

}  // namespace keystead
