#include "core/audit/receipt.h"

#include "absl/strings/str_cat.h"
#include "core/audit/export.h"
#include "core/audit/head.h"
#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/sign1.h"
#include "core/identity/signer.h"

namespace keystead::audit {
namespace {

constexpr std::string_view kMagic = "ks1 erasure-receipt";
constexpr uint64_t kFields = 6;

struct FileView {
  std::string_view chain_pem;
  ByteView receipt;
};

absl::StatusOr<FileView> ParseFile(ByteView file) {
  cose::CborReader reader(file);
  FileView out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(3));
  KS_RETURN_IF_ERROR(reader.ExpectText(kMagic));
  KS_ASSIGN_OR_RETURN(out.chain_pem, reader.ReadText());
  KS_ASSIGN_OR_RETURN(out.receipt, reader.ReadBytes());
  KS_RETURN_IF_ERROR(reader.Finish());
  if (out.chain_pem.size() > kMaxChainBytes || out.receipt.size() > kMaxReceiptBytes)
    return absl::InvalidArgumentError("longer than it can be");
  return out;
}

absl::StatusOr<Receipt> ParsePayload(ByteView payload) {
  cose::CborReader reader(payload);
  Receipt out;
  KS_RETURN_IF_ERROR(reader.ReadArrayOf(kFields));
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, reader.ReadText());
  KS_ASSIGN_OR_RETURN(out.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(out.number, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(const ByteView instantiation, reader.ReadBytes());
  if (!instantiation.empty()) {
    KS_ASSIGN_OR_RETURN(out.instantiation, InstantiationId::FromBytes(instantiation));
  }
  KS_ASSIGN_OR_RETURN(const uint64_t micros, reader.ReadUint());
  if (micros > INT64_MAX) return absl::InvalidArgumentError("a time that no receipt has");
  out.erased = absl::FromUnixMicros(static_cast<int64_t>(micros));
  KS_ASSIGN_OR_RETURN(out.groups, reader.ReadUint());
  KS_ASSIGN_OR_RETURN(out.bytes, reader.ReadUint());
  KS_RETURN_IF_ERROR(reader.Finish());
  return out;
}

}  // namespace

Bytes EncodeReceipt(const Receipt& receipt) {
  Bytes payload;
  cose::CborWriter w(payload);
  w.Array(kFields).Text(receipt.tenant.str()).Uint(receipt.number);
  w.Bstr(receipt.instantiation.has_value() ? receipt.instantiation->view() : ByteView());
  w.Uint(static_cast<uint64_t>(absl::ToUnixMicros(receipt.erased))).Uint(receipt.groups).Uint(receipt.bytes);
  return payload;
}

Bytes EncodeReceiptFile(std::string_view chain_pem, ByteView receipt) {
  return cose::EncodeArray(kMagic, chain_pem, receipt);
}

absl::StatusOr<VerifiedReceipt> VerifyReceiptFile(ByteView file, std::string_view provider_ca_pem) {
  const absl::StatusOr<FileView> view = ParseFile(file);
  if (!view.ok()) return absl::InvalidArgumentError("this is no receipt of an erasure");
  KS_ASSIGN_OR_RETURN(const cose::Sign1View object, cose::ParseSign1(view->receipt));
  KS_ASSIGN_OR_RETURN(const Receipt receipt, ParsePayload(object.payload));
  KS_ASSIGN_OR_RETURN(const Signer signer, VerifySigner(view->chain_pem, provider_ca_pem, receipt.erased));
  if (signer.id.role() != Role::kService || signer.id.id() != kSignerName) {
    return absl::UnauthenticatedError(
        absl::StrCat("it is signed by ", signer.id.str(), ", whose key is not for receipts"));
  }
  KS_RETURN_IF_ERROR(cose::VerifySign1(object, signer.key, kReceiptTyp, {}));
  return VerifiedReceipt{receipt, signer.id};
}

}  // namespace keystead::audit
