// keystead-admin backup, restore, export.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "backend/admin/copy_transfer.h"
#include "backend/admin/output.h"
#include "backend/admin/verbs.h"
#include "core/base/status.h"
#include "core/copies/backup_file.h"
#include "core/copies/export_verify.h"
#include "core/program/files.h"

namespace keystead::admin {
namespace {

struct CopyArguments {
  std::string tenant;
  std::string out;
  std::string in;
  std::string confirm;
  std::string verify;
  std::string provider_ca;
};

// What can be seen of a backup without the keys: that it is one of this tenant, whole, and as it was sent.
class BackupLook {
 public:
  explicit BackupLook(std::string tenant) : tenant_(std::move(tenant)) {}
  absl::Status Take(std::string_view piece) {
    reader_.Feed(piece);
    while (true) {
      KS_ASSIGN_OR_RETURN(const std::optional<copies::Frame> frame, reader_.Next());
      if (!frame.has_value()) return absl::OkStatus();
      if (!header_.has_value()) {
        KS_ASSIGN_OR_RETURN(header_, copies::DecodeBackupHeader(*frame));
      } else if (frame->kind == copies::kTrailerKind) {
        KS_ASSIGN_OR_RETURN(trailer_, copies::DecodeBackupTrailer(*frame));
      }
    }
  }
  absl::Status Good() const {
    KS_RETURN_IF_ERROR(reader_.Finish());
    const bool whole = trailer_.frames == reader_.frames() && trailer_.digest == reader_.digest();
    if (whole && header_.has_value() && header_->tenant.str() == tenant_) return absl::OkStatus();
    return absl::DataLossError("the backend sent something else than it says");
  }
  const copies::BackupHeader& header() const { return *header_; }

 private:
  const std::string tenant_;
  copies::FrameReader reader_;
  std::optional<copies::BackupHeader> header_;
  copies::BackupTrailer trailer_;
};

absl::Status NotStored(const std::string& what, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::DataLossError(
      absl::StrCat(what, ": ", status.message(), "; nothing was stored, check the backend"));
}

absl::Status Backup(Context& context, const CopyArguments& arguments) {
  KS_RETURN_IF_ERROR(CheckTenantName(arguments.tenant));
  const std::string what = absl::StrCat("the backup of ", arguments.tenant);
  v1::BackupRequest request;
  request.set_tenant(arguments.tenant);
  BackupLook look(arguments.tenant);
  KS_ASSIGN_OR_RETURN(
      const uint64_t bytes,
      Download(
          context, what, arguments.out,
          [&](grpc::ClientContext* call) { return context.connection->stub().Backup(call, request); },
          [&](std::string_view piece) { return NotStored(what, look.Take(piece)); },
          [&] { return NotStored(what, look.Good()); }));
  const copies::BackupHeader& header = look.header();
  if (context.json) {
    std::cout << nlohmann::json{{"tenant", arguments.tenant},
                                {"file", arguments.out},
                                {"bytes", bytes},
                                {"taken", TimeText(header.taken)},
                                {"number", header.number},
                                {"key_version", header.key_version}}
                     .dump()
              << "\n";
  } else {
    std::cout << ByteCount(static_cast<double>(bytes)) << " in " << arguments.out << ": " << arguments.tenant
              << " as of " << TimeText(header.taken) << ". It opens with version " << header.key_version
              << " of the keystore's key number " << header.number << ": back up the keystore, elsewhere.\n";
  }
  return absl::OkStatus();
}

absl::Status Explain(v1::RestoreOutcome outcome, const CopyArguments& arguments) {
  const std::string nothing = absl::StrCat(arguments.in, ": nothing was changed: ");
  switch (outcome) {
    case v1::RESTORE_OUTCOME_RESTORED:
      return absl::OkStatus();
    case v1::RESTORE_OUTCOME_DAMAGED:
      return absl::DataLossError(nothing +
                                 "it is no backup as this provider made it (cut off, edited, or put together "
                                 "from several); use another copy of it");
    case v1::RESTORE_OUTCOME_OTHER_TENANT:
      return absl::FailedPreconditionError(absl::StrCat(nothing, "it is a backup of another tenant than ",
                                                        arguments.tenant, "; name that one"));
    case v1::RESTORE_OUTCOME_OTHER_STORE:
      return absl::FailedPreconditionError(
          absl::StrCat(nothing, "it is of another store, and ", arguments.tenant,
                       " holds data in this one; use a backup of this store"));
    case v1::RESTORE_OUTCOME_KEY_GONE:
      return absl::FailedPreconditionError(
          nothing +
          "the keystore has no key for it: the tenant was erased since, which no backup undoes, or this is "
          "another keystore; use the keystore that it was made with");
    case v1::RESTORE_OUTCOME_KEYS_OLDER:
      return absl::FailedPreconditionError(
          nothing +
          "it needs a later version of the tenant's key; restore a later backup of the keystore first");
    case v1::RESTORE_OUTCOME_NUMBER_TAKEN:
      return absl::FailedPreconditionError(
          nothing +
          "another tenant of this store has the number of its keys; use a store that began empty with "
          "this keystore");
    default:
      return absl::InternalError(nothing + "the backend's answer is unknown here; update keystead-admin");
  }
}

absl::Status Restore(Context& context, const CopyArguments& arguments) {
  KS_RETURN_IF_ERROR(CheckConfirmed(arguments.tenant, arguments.confirm));
  KS_ASSIGN_OR_RETURN(
      const v1::RestoreResponse done,
      Upload(context, absl::StrCat("tenant ", arguments.tenant), arguments.tenant, arguments.in));
  KS_RETURN_IF_ERROR(Explain(done.outcome(), arguments));
  const std::string taken = TimeText(absl::FromUnixMicros(done.taken_us()));
  if (context.json) {
    std::cout << nlohmann::json{{"restored", arguments.tenant},
                                {"taken", taken},
                                {"groups", done.groups()},
                                {"bytes", done.bytes()},
                                {"instantiations", done.instantiations()},
                                {"left_out", done.left_out()}}
                     .dump()
              << "\n";
    return absl::OkStatus();
  }
  std::cout << arguments.tenant << " is what it was at " << taken << ": "
            << GroupedNumber(done.instantiations()) << " instantiations, " << GroupedNumber(done.groups())
            << " groups of " << ByteCount(static_cast<double>(done.bytes()))
            << ". What came later is gone, and its members will "
            << "say so.\n";
  if (done.left_out() > 0)
    std::cout << done.left_out() << " instantiations of the backup were erased since, and stay so.\n";
  return absl::OkStatus();
}

void Print(const Context& context, const copies::VerifiedExport& good, const std::string& file) {
  if (context.json) {
    std::cout << nlohmann::json{{"good", true},
                                {"file", file},
                                {"tenant", good.header.tenant.str()},
                                {"provider", good.header.provider},
                                {"taken", TimeText(good.header.taken)},
                                {"signer", good.signer},
                                {"instantiations", good.instantiations},
                                {"commits", good.commits},
                                {"groups", good.groups},
                                {"records", good.records},
                                {"bytes", good.bytes}}
                     .dump()
              << "\n";
    return;
  }
  std::cout << "Good: " << file << " is what " << good.header.tenant.str() << " had at "
            << good.header.provider << " at " << TimeText(good.header.taken) << ": "
            << GroupedNumber(good.instantiations) << " instantiations with " << GroupedNumber(good.commits)
            << " commits, " << GroupedNumber(good.records) << " sealed records in "
            << GroupedNumber(good.groups) << " groups.\n";
  std::cout << (good.signer.empty() ? "Nobody's signature was verified; --provider-ca does that.\n"
                                    : absl::StrCat(good.signer, " signed it.\n"));
}

absl::Status VerifyFile(Context& context, const CopyArguments& arguments) {
  std::string ca;
  if (!arguments.provider_ca.empty()) {
    KS_ASSIGN_OR_RETURN(ca, ReadFile(arguments.provider_ca, kMaxProviderCaBytes));
  }
  copies::ExportVerifier verifier;
  bool opened = false;
  absl::Status status = ReadPieces(arguments.verify, [&](std::string_view piece) {
    opened = true;
    return verifier.Feed(piece);
  });
  if (!opened) return status;
  auto good = status.ok() ? verifier.Finish(ca) : absl::StatusOr<copies::VerifiedExport>(status);
  if (good.ok() && !arguments.tenant.empty() && good->header.tenant.str() != arguments.tenant)
    good = absl::InvalidArgumentError(absl::StrCat("it is of ", good->header.tenant.str()));
  if (!good.ok()) {
    return absl::DataLossError(absl::StrCat(arguments.verify, ": NOT good: ", good.status().message(),
                                            "; get another export, or ask the provider"));
  }
  Print(context, *good, arguments.verify);
  return absl::OkStatus();
}

absl::Status Export(Context& context, const CopyArguments& arguments) {
  if (!arguments.verify.empty()) return VerifyFile(context, arguments);
  KS_RETURN_IF_ERROR(CheckTenantName(arguments.tenant));
  if (arguments.out.empty())
    return absl::InvalidArgumentError("say where to: --out FILE; or which to verify: --verify FILE");
  const std::string what = absl::StrCat("the export of ", arguments.tenant);
  v1::ExportRequest request;
  request.set_tenant(arguments.tenant);
  copies::ExportVerifier verifier;
  std::optional<copies::VerifiedExport> good;
  KS_RETURN_IF_ERROR(
      Download(
          context, what, arguments.out,
          [&](grpc::ClientContext* call) { return context.connection->stub().Export(call, request); },
          [&](std::string_view piece) { return NotStored(what, verifier.Feed(piece)); },
          [&]() -> absl::Status {
            const absl::StatusOr<copies::VerifiedExport> whole = verifier.Finish("");
            KS_RETURN_IF_ERROR(NotStored(what, whole.status()));
            good = *whole;
            if (good->header.tenant.str() == arguments.tenant) return absl::OkStatus();
            return NotStored(what, absl::DataLossError("it is of another tenant"));
          })
          .status());
  Print(context, *good, arguments.out);
  return absl::OkStatus();
}

}  // namespace

void AddCopyVerbs(CLI::App& app, Context& context, Verbs& verbs) {
  const auto backed_up = std::make_shared<CopyArguments>();
  CLI::App& backup = *app.add_subcommand("backup", "Get a tenant's data, encrypted as it is stored");
  backup.add_option("NAME", backed_up->tenant, "The tenant's name")->required();
  backup.add_option("--out", backed_up->out, "Where to")->required();
  verbs.push_back({&backup, [&context, backed_up] { return Backup(context, *backed_up); }});

  const auto restored = std::make_shared<CopyArguments>();
  CLI::App& restore = *app.add_subcommand(
      "restore", "Put a tenant's data back to what a backup holds; what came later is lost");
  restore.add_option("NAME", restored->tenant, "The tenant's name")->required();
  restore.add_option("--in", restored->in, "What `backup` wrote")->required();
  restore.add_option("--confirm", restored->confirm, "The tenant's name once more: it cannot be taken back");
  verbs.push_back({&restore, [&context, restored] { return Restore(context, *restored); }});

  const auto exported = std::make_shared<CopyArguments>();
  CLI::App& exporting = *app.add_subcommand(
      "export",
      "Get what a tenant may take away: commits and sealed records; or verify such a file, offline");
  exporting.add_option("NAME", exported->tenant, "The tenant's name; with --verify: whose it has to be");
  exporting.add_option("--out", exported->out, "Where to");
  exporting.add_option("--verify", exported->verify, "Do not ask a backend: verify this file");
  exporting.add_option("--provider-ca", exported->provider_ca,
                       "With --verify: the provider's CA (PEM), which must stand behind the signature");
  verbs.push_back({&exporting, [&context, exported] { return Export(context, *exported); }});
}

}  // namespace keystead::admin
