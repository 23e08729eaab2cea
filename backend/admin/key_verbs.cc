// keystead-admin rotate, erase, receipt verify.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "backend/admin/output.h"
#include "backend/admin/verbs.h"
#include "core/audit/receipt.h"
#include "core/base/status.h"
#include "core/program/file_writer.h"
#include "core/program/files.h"

namespace keystead::admin {
namespace {

struct EraseArguments {
  std::string tenant;
  std::string instantiation;
  std::optional<InstantiationId> id;  // of `instantiation`, once it was read
  std::string confirm;
  std::string out;
  std::string provider_ca;
};
struct VerifyArguments {
  std::string file;
  std::string provider_ca;
  std::string tenant;
};

absl::Status Rotate(Context& context, const std::string& tenant) {
  KS_RETURN_IF_ERROR(CheckTenantName(tenant));
  v1::RotateKeyRequest request;
  request.set_tenant(tenant);
  v1::RotateKeyResponse response;
  KS_RETURN_IF_ERROR(context.connection->Call(&v1::TenantAdmin::Stub::RotateKey, request, &response,
                                              absl::StrCat("the key of ", tenant)));
  if (context.json) {
    std::cout << nlohmann::json{{"tenant", tenant}, {"version", response.version()}}.dump() << "\n";
  } else {
    std::cout << "What " << tenant << " stores from now on is under version " << response.version()
              << " of its key. Back up the keystore.\n";
  }
  return absl::OkStatus();
}

void Print(const Context& context, const audit::VerifiedReceipt& verified, const std::string& file) {
  const audit::Receipt& receipt = verified.receipt;
  const std::string when = TimeText(receipt.erased);
  const std::string instantiation = receipt.instantiation.has_value() ? receipt.instantiation->ToHex() : "";
  if (context.json) {
    std::cout << nlohmann::json{{"good", true},
                                {"tenant", receipt.tenant.str()},
                                {"number", receipt.number},
                                {"instantiation", instantiation},
                                {"erased", when},
                                {"groups", receipt.groups},
                                {"bytes", receipt.bytes},
                                {"signer", verified.signer.str()},
                                {"file", file}}
                     .dump()
              << "\n";
    return;
  }
  std::cout << "Good: " << verified.signer.str() << " signed that "
            << (instantiation.empty()
                    ? receipt.tenant.str()
                    : absl::StrCat("instantiation ", instantiation, " of ", receipt.tenant.str()))
            << " was erased at " << when << ", with " << GroupedNumber(receipt.groups) << " groups of "
            << ByteCount(static_cast<double>(receipt.bytes)) << ".\n";
}

absl::StatusOr<audit::VerifiedReceipt> VerifyReceipt(ByteView file, const std::string& what,
                                                     const std::string& ca) {
  absl::StatusOr<audit::VerifiedReceipt> verified = audit::VerifyReceiptFile(file, ca);
  if (!verified.ok()) {
    return absl::DataLossError(
        absl::StrCat(what, ": NOT good: ", verified.status().message(), "; ask the provider for another"));
  }
  return verified;
}

absl::StatusOr<v1::EraseResponse> Ask(Context& context, const EraseArguments& arguments) {
  const std::optional<InstantiationId>& id = arguments.id;
  v1::EraseResponse response;
  const std::string what = id.has_value()
                               ? absl::StrCat("instantiation ", id->ToHex(), " of ", arguments.tenant)
                               : absl::StrCat("tenant ", arguments.tenant);
  absl::Status status;
  if (id.has_value()) {
    v1::EraseInstantiationRequest request;
    request.set_tenant(arguments.tenant);
    request.set_instantiation(id->ToString());
    status = context.connection->Call(&v1::TenantAdmin::Stub::EraseInstantiation, request, &response, what);
  } else {
    v1::EraseTenantRequest request;
    request.set_tenant(arguments.tenant);
    status = context.connection->Call(&v1::TenantAdmin::Stub::EraseTenant, request, &response, what);
  }
  if (!status.ok()) return status;
  return response;
}

// The receipt is worth keeping whatever is wrong with it, so it is stored first and judged then: the erasure
// itself cannot be taken back.
absl::Status Erase(Context& context, EraseArguments& arguments) {
  KS_RETURN_IF_ERROR(CheckConfirmed(arguments.tenant, arguments.confirm));
  if (!arguments.instantiation.empty()) {
    const absl::StatusOr<InstantiationId> parsed = InstantiationId::FromHex(arguments.instantiation);
    if (!parsed.ok())
      return absl::InvalidArgumentError(absl::StrCat(
          "'", arguments.instantiation, "' is no instantiation's id: give its 32 digits in hex"));
    arguments.id = *parsed;
  }
  KS_ASSIGN_OR_RETURN(const std::string ca, ReadFile(arguments.provider_ca, kMaxProviderCaBytes));
  // That it cannot be written is better known before than after.
  KS_ASSIGN_OR_RETURN(FileWriter out, FileWriter::Create(arguments.out));
  KS_ASSIGN_OR_RETURN(const v1::EraseResponse response, Ask(context, arguments));
  const Bytes file = audit::EncodeReceiptFile(response.chain_pem(), AsBytes(response.receipt()));
  KS_RETURN_IF_ERROR(out.Append(AsChars(file)));
  KS_RETURN_IF_ERROR(out.Commit());
  KS_ASSIGN_OR_RETURN(const audit::VerifiedReceipt verified, VerifyReceipt(file, arguments.out, ca));
  if (verified.receipt.tenant.str() != arguments.tenant || verified.receipt.instantiation != arguments.id) {
    return absl::DataLossError(
        absl::StrCat(arguments.out, ": NOT good: it is a receipt of something else; ask the provider"));
  }
  Print(context, verified, arguments.out);
  return absl::OkStatus();
}

absl::Status Verify(Context& context, const VerifyArguments& arguments) {
  KS_ASSIGN_OR_RETURN(const std::string ca, ReadFile(arguments.provider_ca, kMaxProviderCaBytes));
  KS_ASSIGN_OR_RETURN(const std::string file, ReadFile(arguments.file, audit::kMaxReceiptFileBytes));
  KS_ASSIGN_OR_RETURN(const audit::VerifiedReceipt verified,
                      VerifyReceipt(AsBytes(file), arguments.file, ca));
  if (!arguments.tenant.empty() && verified.receipt.tenant.str() != arguments.tenant) {
    return absl::DataLossError(absl::StrCat(arguments.file, ": NOT good: it is a receipt of ",
                                            verified.receipt.tenant.str(), "; get one of ",
                                            arguments.tenant));
  }
  Print(context, verified, arguments.file);
  return absl::OkStatus();
}

}  // namespace

void AddKeyVerbs(CLI::App& app, Context& context, Verbs& verbs) {
  const auto rotated = std::make_shared<std::string>();
  CLI::App& rotate = *app.add_subcommand("rotate", "Make another version of a tenant's key at rest");
  rotate.add_option("NAME", *rotated, "The tenant's name")->required();
  verbs.push_back({&rotate, [&context, rotated] { return Rotate(context, *rotated); }});

  const auto erased = std::make_shared<EraseArguments>();
  CLI::App& erase = *app.add_subcommand(
      "erase",
      "Destroy a tenant's key and all that it stored, or one instantiation's; keeps the signed receipt");
  erase.add_option("NAME", erased->tenant, "The tenant's name")->required();
  erase.add_option("--instantiation", erased->instantiation, "Only this one of its instantiations (hex)");
  erase.add_option("--confirm", erased->confirm, "The tenant's name once more: it cannot be taken back");
  erase.add_option("--out", erased->out, "Where to keep the receipt")->required();
  erase
      .add_option("--provider-ca", erased->provider_ca, "The provider's CA (PEM), to verify the receipt with")
      ->required();
  verbs.push_back({&erase, [&context, erased] { return Erase(context, *erased); }});

  CLI::App& receipt = *app.add_subcommand("receipt", "Receipts of what was erased");
  receipt.require_subcommand(1);
  receipt.fallthrough();
  const auto verified = std::make_shared<VerifyArguments>();
  CLI::App& verify = *receipt.add_subcommand("verify", "Verify a receipt, offline");
  verify.add_option("FILE", verified->file, "What `erase` wrote")->required();
  verify
      .add_option("--provider-ca", verified->provider_ca,
                  "The provider's CA (PEM), from a place that you trust")
      ->required();
  verify.add_option("--tenant", verified->tenant, "Whose receipt it has to be");
  verbs.push_back({&verify, [&context, verified] { return Verify(context, *verified); }});
}

}  // namespace keystead::admin
