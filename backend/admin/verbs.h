// The verbs of keystead-admin, in groups of one file each. A new group: one function here, one file, one line
// in main.cc.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "backend/admin/connection.h"
#include "core/program/termination.h"

namespace CLI {
class App;
}

namespace keystead::admin {

// What every verb may use. Outlives the parsing of options.
struct Context {
  Connection* connection = nullptr;
  TerminationSignal* termination = nullptr;
  bool json = false;
};

struct Verb {
  CLI::App* app = nullptr;  // has been parsed: this one is meant
  std::function<absl::Status()> run;
};
using Verbs = std::vector<Verb>;

// Each adds its subcommands to `app` and what they do to `verbs`.
void AddTenantVerbs(CLI::App& app, Context& context, Verbs& verbs);   // create, list, usage
void AddLimitVerbs(CLI::App& app, Context& context, Verbs& verbs);    // limits
void AddAuditVerbs(CLI::App& app, Context& context, Verbs& verbs);    // audit export, show, verify
void AddKeyVerbs(CLI::App& app, Context& context, Verbs& verbs);      // rotate, erase, receipt verify
void AddCopyVerbs(CLI::App& app, Context& context, Verbs& verbs);     // backup, restore, export
void AddObserveVerbs(CLI::App& app, Context& context, Verbs& verbs);  // held

inline constexpr size_t kMaxProviderCaBytes = 1 << 20;  // of a file with the certificates to verify with

// INVALID_ARGUMENT, in words, unless a tenant's name.
absl::Status CheckTenantName(const std::string& name);
// INVALID_ARGUMENT, in words, unless what cannot be taken back was confirmed by naming the tenant again.
absl::Status CheckConfirmed(const std::string& tenant, const std::string& confirmed);

}  // namespace keystead::admin
