// keystead-admin audit export, show, verify.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "backend/admin/output.h"
#include "backend/admin/verbs.h"
#include "core/audit/verify.h"
#include "core/base/status.h"
#include "core/program/files.h"

namespace keystead::admin {
namespace {

struct ExportArguments {
  std::string tenant;
  std::string out;
  uint64_t from = 0;
};
struct FileArguments {
  std::string file;
  std::string provider_ca;
  std::string extends;
  std::string tenant;
};

// What the backend sends, as the bytes of a file. Whether it is any good, verify says; but what is plainly
// not what was asked for is not stored under its name.
absl::StatusOr<Bytes> Download(Context& context, const ExportArguments& arguments, uint64_t& entries) {
  const std::string what = absl::StrCat("the audit log of ", arguments.tenant);
  KS_RETURN_IF_ERROR(context.connection->Dial());
  grpc::ClientContext call;
  context.connection->SetDeadline(call);
  v1::AuditRequest request;
  request.set_tenant(arguments.tenant);
  request.set_from_sequence(arguments.from);
  const auto reader = context.connection->stub().Audit(&call, request);
  Bytes file;
  v1::AuditChunk chunk;
  bool too_long = false;
  while (reader->Read(&chunk)) {
    if (file.empty()) file = audit::EncodeExportHeader(chunk.chain_pem(), AsBytes(chunk.head()));
    for (const std::string& entry : chunk.entries()) {
      file.insert(file.end(), entry.begin(), entry.end());
      ++entries;
    }
    too_long = file.size() > audit::kMaxExportBytes;
    if (too_long) call.TryCancel();
  }
  const grpc::Status status = reader->Finish();
  if (too_long) return absl::ResourceExhaustedError(what + " is too long for one file; give --from");
  if (status.error_code() == grpc::StatusCode::ABORTED)
    return absl::AbortedError(what + " was trimmed while it was sent; try again");
  KS_RETURN_IF_ERROR(context.connection->Explain(status, what));
  const absl::StatusOr<audit::ExportView> view = audit::ParseExport(file);
  absl::StatusOr<audit::Head> head = absl::DataLossError("");
  if (view.ok()) head = audit::UnverifiedHead(view->signed_head);
  if (!head.ok() || head->tenant.str() != arguments.tenant)
    return absl::DataLossError(what +
                               ": the backend sent something else; nothing was stored, check the backend");
  return file;
}

absl::Status Export(Context& context, const ExportArguments& arguments) {
  KS_RETURN_IF_ERROR(CheckTenantName(arguments.tenant));
  uint64_t entries = 0;
  KS_ASSIGN_OR_RETURN(const Bytes file, Download(context, arguments, entries));
  KS_RETURN_IF_ERROR(WriteFileAtomically(arguments.out, ToString(file)));
  if (context.json) {
    std::cout
        << nlohmann::json{{"tenant", arguments.tenant}, {"entries", entries}, {"file", arguments.out}}.dump()
        << "\n";
  } else {
    std::cout << GroupedNumber(entries) << " entries in " << arguments.out
              << "; verify them with: keystead-admin audit verify " << arguments.out
              << " --provider-ca CA.pem\n";
  }
  return absl::OkStatus();
}

nlohmann::json ToJson(const audit::Entry& entry) {
  return {{"sequence", entry.sequence},        {"time", TimeText(entry.time)}, {"actor", entry.event.actor},
          {"action", entry.event.action},      {"object", entry.event.object}, {"detail", entry.event.detail},
          {"previous", entry.previous.ToHex()}};
}

void Print(const audit::Entry& entry) {
  std::cout << entry.sequence << "  " << TimeText(entry.time) << "  " << entry.event.action;
  if (!entry.event.object.empty()) std::cout << " " << entry.event.object;
  std::cout << "  by " << (entry.event.actor.empty() ? "the backend" : entry.event.actor);
  if (!entry.event.detail.empty()) std::cout << "  (" << entry.event.detail << ")";
  std::cout << "\n";
}

absl::Status Show(Context& context, const FileArguments& arguments) {
  KS_ASSIGN_OR_RETURN(const std::string file, ReadFile(arguments.file, audit::kMaxExportBytes));
  const absl::StatusOr<audit::ExportView> view = audit::ParseExport(AsBytes(file));
  if (!view.ok()) return absl::DataLossError(absl::StrCat(arguments.file, ": ", view.status().message()));
  const absl::StatusOr<audit::Head> head = audit::UnverifiedHead(view->signed_head);
  if (!head.ok()) return absl::DataLossError(absl::StrCat(arguments.file, ": its signed head is malformed"));
  if (!context.json) {
    std::cout << "Audit log of " << head->tenant.str() << " at " << TimeText(head->time) << ", "
              << view->entries.size() << " entries. Not verified: `keystead-admin audit verify` does that.\n";
  }
  for (size_t i = 0; i < view->entries.size(); ++i) {
    const absl::StatusOr<audit::Entry> entry = audit::ParseEntry(view->entries[i]);
    if (!entry.ok())
      return absl::DataLossError(absl::StrCat(arguments.file, ": entry number ", i, " is malformed"));
    if (context.json) {
      std::cout << ToJson(*entry).dump() << "\n";
    } else {
      Print(*entry);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<audit::VerifiedExport> VerifyFile(const std::string& path, const std::string& ca,
                                                 audit::Extent extent) {
  KS_ASSIGN_OR_RETURN(const std::string file, ReadFile(path, audit::kMaxExportBytes));
  absl::StatusOr<audit::VerifiedExport> verified = audit::VerifyExport(AsBytes(file), ca, extent);
  if (!verified.ok()) {
    return absl::DataLossError(absl::StrCat(path, ": NOT good: ", verified.status().message(),
                                            "; get another export, or ask the provider"));
  }
  return verified;
}

absl::Status Verify(Context& context, const FileArguments& arguments) {
  KS_ASSIGN_OR_RETURN(const std::string ca, ReadFile(arguments.provider_ca, kMaxProviderCaBytes));
  const bool has_older = !arguments.extends.empty();
  // A part of a log is good only together with what shows the rest.
  KS_ASSIGN_OR_RETURN(
      const audit::VerifiedExport log,
      VerifyFile(arguments.file, ca, has_older ? audit::Extent::kPart : audit::Extent::kWhole));
  if (!arguments.tenant.empty() && log.head.tenant.str() != arguments.tenant) {
    return absl::DataLossError(absl::StrCat(arguments.file, ": NOT good: it is the log of ",
                                            log.head.tenant.str(), "; get one of ", arguments.tenant));
  }
  audit::Continuation more;
  if (has_older) {
    KS_ASSIGN_OR_RETURN(const audit::VerifiedExport older,
                        VerifyFile(arguments.extends, ca, audit::Extent::kWhole));
    const absl::StatusOr<audit::Continuation> extends = audit::Extends(log, older);
    if (!extends.ok()) {
      return absl::DataLossError(absl::StrCat(arguments.file, ": NOT good: ", extends.status().message(),
                                              "; keep both files, and ask the provider"));
    }
    more = *extends;
  }
  if (context.json) {
    nlohmann::json out{{"good", true},
                       {"tenant", log.head.tenant.str()},
                       {"signer", log.signer.str()},
                       {"time", TimeText(log.head.time)},
                       {"first_kept", log.head.first},
                       {"begin", log.begin()},
                       {"end", log.head.end()},
                       {"head", log.head.head.ToHex()}};
    if (has_older) out.update({{"added", more.added}, {"trimmed", more.trimmed}});
    std::cout << out.dump() << "\n";
    return absl::OkStatus();
  }
  std::cout << "Good: the audit log of " << log.head.tenant.str() << ", as " << log.signer.str()
            << " signed it at " << TimeText(log.head.time) << ".\n";
  std::cout << "It has " << GroupedNumber(log.entries.size()) << " entries from number " << log.begin()
            << " on";
  if (log.head.first > 0) {
    std::cout << "; the provider says that it keeps those before " << log.head.first << " no longer";
  }
  std::cout << ".\n";
  if (has_older) {
    std::cout << "It continues " << arguments.extends << ": nothing of that was rewritten, " << more.added
              << " entries came, " << more.trimmed << " are kept no longer.\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddAuditVerbs(CLI::App& app, Context& context, Verbs& verbs) {
  CLI::App& audit =
      *app.add_subcommand("audit", "A tenant's audit log: export it, show and verify an export");
  audit.require_subcommand(1);
  audit.fallthrough();

  const auto exporting = std::make_shared<ExportArguments>();
  CLI::App& to_file = *audit.add_subcommand("export", "Get a tenant's audit log from the backend");
  to_file.add_option("NAME", exporting->tenant, "The tenant's name; or the provider's, for its own log")
      ->required();
  to_file.add_option("--out", exporting->out, "The file that it goes into")->required();
  to_file.add_option("--from", exporting->from,
                     "Leave out the entries before this number, which an older export has");
  verbs.push_back({&to_file, [&context, exporting] { return Export(context, *exporting); }});

  const auto shown = std::make_shared<FileArguments>();
  CLI::App& show = *audit.add_subcommand("show", "Print the entries of an export, unverified");
  show.add_option("FILE", shown->file, "What `audit export` wrote")->required();
  verbs.push_back({&show, [&context, shown] { return Show(context, *shown); }});

  const auto verified = std::make_shared<FileArguments>();
  CLI::App& verify = *audit.add_subcommand("verify", "Verify an export, offline");
  verify.add_option("FILE", verified->file, "What `audit export` wrote")->required();
  verify
      .add_option("--provider-ca", verified->provider_ca,
                  "The provider's CA (PEM), from a place that you trust")
      ->required();
  verify.add_option("--extends", verified->extends,
                    "An older export: nothing of it may have been rewritten or cut");
  verify.add_option("--tenant", verified->tenant, "Whose log it has to be");
  verbs.push_back({&verify, [&context, verified] { return Verify(context, *verified); }});
}

}  // namespace keystead::admin
