// keystead-admin: the tenants of a backend, for the provider's operators and the tenants' administrators.
#include <CLI/CLI.hpp>

#include "backend/admin/connection.h"
#include "backend/admin/verbs.h"
#include "core/program/program.h"

namespace keystead::admin {
namespace {

void AddConnectionOptions(CLI::App& app, ConnectionOptions& options) {
  app.add_option("--backend", options.address, "HOST:PORT of the backend");
  app.add_option("--backend-id", options.server,
                 "Who must answer there: spiffe://PROVIDER/service/* or one SPIFFE id");
  AddCertificateOptions(app, options.files, "", false);
  app.add_option("--timeout", options.timeout_seconds, "Seconds that one call may take")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
}

absl::Status RunVerb(const Verbs& verbs) {
  for (const Verb& verb : verbs) {
    if (verb.app->parsed()) return verb.run();
  }
  return absl::InvalidArgumentError("no verb was given: see keystead-admin --help");
}

int Main(int argc, char** argv) {
  Program program(
      "keystead-admin",
      "Administers the tenants of a backend: an operator of the provider all, an administrator of a "
      "tenant the own.",
      "KEYSTEAD_ADMIN");
  program.InvalidArgumentIsMistyped();
  CLI::App& app = program.app();
  ConnectionOptions options;
  AddConnectionOptions(app, options);
  Connection connection(&options);
  Context context{.connection = &connection, .termination = &program.termination()};
  app.add_flag("--json", context.json, "Print JSON, one object a line");
  Verbs verbs;
  AddTenantVerbs(app, context, verbs);
  AddLimitVerbs(app, context, verbs);
  AddAuditVerbs(app, context, verbs);
  AddKeyVerbs(app, context, verbs);
  AddCopyVerbs(app, context, verbs);
  AddObserveVerbs(app, context, verbs);
  app.require_subcommand(1);
  app.fallthrough();
  for (const Verb& verb : verbs) verb.app->fallthrough();
  return program.Run(argc, argv, [&] { return RunVerb(verbs); });
}

}  // namespace
}  // namespace keystead::admin

int main(int argc, char** argv) { return keystead::admin::Main(argc, argv); }
