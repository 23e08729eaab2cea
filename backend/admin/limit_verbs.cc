// keystead-admin limits.
#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "backend/admin/limit_settings.h"
#include "backend/admin/output.h"
#include "backend/admin/verbs.h"
#include "core/base/status.h"

namespace keystead::admin {
namespace {

struct Arguments {
  std::string tenant;
  std::vector<std::string> set;
};

absl::Status Limits(Context& context, const Arguments& arguments) {
  KS_RETURN_IF_ERROR(CheckTenantName(arguments.tenant));
  v1::TenantLimits scratch;  // what is mistyped is said before anybody is asked
  KS_RETURN_IF_ERROR(ApplySettings(arguments.set, &scratch));
  const std::string what = absl::StrCat("tenant ", arguments.tenant);
  v1::GetLimitsRequest get;
  get.set_tenant(arguments.tenant);
  v1::GetLimitsResponse now;
  KS_RETURN_IF_ERROR(context.connection->Call(&v1::TenantAdmin::Stub::GetLimits, get, &now, what));
  if (!arguments.set.empty()) {
    v1::SetLimitsRequest set;
    set.set_tenant(arguments.tenant);
    KS_RETURN_IF_ERROR(ApplySettings(arguments.set, now.mutable_limits()));
    *set.mutable_limits() = now.limits();
    v1::SetLimitsResponse done;
    KS_RETURN_IF_ERROR(context.connection->Call(&v1::TenantAdmin::Stub::SetLimits, set, &done, what));
  }
  if (context.json) {
    PrintJson(now.limits());
  } else {
    std::cout << arguments.tenant << "\n" << DescribeLimits(now.limits()) << std::flush;
  }
  return absl::OkStatus();
}

}  // namespace

void AddLimitVerbs(CLI::App& app, Context& context, Verbs& verbs) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& limits = *app.add_subcommand("limits", "Show what a tenant may have, or change it with --set");
  limits.add_option("NAME", arguments->tenant, "The tenant's name")->required();
  limits.add_option("--set", arguments->set,
                    absl::StrCat("KEY=VALUE …, the others stay. Keys: ", SettingsHelp(),
                                 ". Values: 50, 20k, 2GiB, 30d; 0 or none: no limit"));
  verbs.push_back({&limits, [&context, arguments] { return Limits(context, *arguments); }});
}

}  // namespace keystead::admin
