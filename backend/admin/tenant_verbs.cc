// keystead-admin create, list, usage.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "backend/admin/limit_settings.h"
#include "backend/admin/output.h"
#include "backend/admin/verbs.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/program/files.h"

namespace keystead::admin {
namespace {

constexpr size_t kMaxCaBytes = 64 << 10;  // what a backend takes

struct CreateArguments {
  std::string tenant;
  std::string ca;
  std::vector<std::string> set;
};

absl::Status Create(Context& context, const CreateArguments& arguments) {
  KS_RETURN_IF_ERROR(CheckTenantName(arguments.tenant));
  v1::CreateTenantRequest request;
  request.set_tenant(arguments.tenant);
  if (!arguments.set.empty()) KS_RETURN_IF_ERROR(ApplySettings(arguments.set, request.mutable_limits()));
  const absl::StatusOr<std::string> ca = ReadFile(arguments.ca, kMaxCaBytes);
  if (!ca.ok()) {
    return {ca.status().code(), absl::StrCat(ca.status().message(), "; give the tenant's ca.pem with --ca")};
  }
  request.set_ca_pem(*ca);
  v1::CreateTenantResponse response;
  KS_RETURN_IF_ERROR(context.connection->Call(&v1::TenantAdmin::Stub::Create, request, &response,
                                              absl::StrCat("tenant ", arguments.tenant)));
  if (context.json) {
    std::cout << nlohmann::json{{"created", arguments.tenant}}.dump() << "\n";
  } else {
    std::cout << arguments.tenant << " is there: certificates of its CA are let in from now on.\n";
  }
  return absl::OkStatus();
}

absl::Status List(Context& context) {
  std::vector<std::string> all;
  while (true) {
    v1::ListTenantsRequest request;
    if (!all.empty()) request.set_after(all.back());
    v1::ListTenantsResponse page;
    KS_RETURN_IF_ERROR(
        context.connection->Call(&v1::TenantAdmin::Stub::List, request, &page, "the list of tenants"));
    if (page.tenants().empty()) break;
    // In ascending order it ends; a backend that does not keep to it must not keep us for ever.
    for (const std::string& name : page.tenants()) {
      if (!all.empty() && name <= all.back())
        return absl::InternalError("the backend's list of tenants is out of order; update the backend");
      all.push_back(name);
    }
  }
  if (context.json) {
    std::cout << nlohmann::json{{"tenants", all}}.dump() << "\n";
    return absl::OkStatus();
  }
  for (const std::string& name : all) std::cout << name << "\n";
  if (all.empty()) std::cout << "There is no tenant that this certificate may administer.\n";
  return absl::OkStatus();
}

struct UsageArguments {
  std::string tenant;
  bool watch = false;
  double interval = 2;
};

std::string Describe(const v1::UsageResponse& usage) {
  const auto number = [](uint64_t n) { return GroupedNumber(n); };
  const auto bytes = [](uint64_t n) { return ByteCount(static_cast<double>(n)); };
  std::string out = "now\n";
  out += Aligned("connections", absl::StrCat(number(usage.connections()), " peers with ",
                                             number(usage.streams()), " open calls"));
  out += Aligned("subscriptions", absl::StrCat(number(usage.subscriptions()), " topics"));
  out += Aligned("queue", absl::StrCat(bytes(usage.queue_bytes()), " wait for the writer"));
  out += "stored\n";
  out += Aligned("instantiations", number(usage.instantiations()));
  out += Aligned("stored",
                 absl::StrCat(bytes(usage.stored_bytes()), " in ", number(usage.stored_groups()), " groups"));
  out += "since the backend started\n";
  out += Aligned("in", absl::StrCat(number(usage.records_in()), " records, ", bytes(usage.bytes_in())));
  out += Aligned("out", absl::StrCat(number(usage.groups_out()), " groups, ", bytes(usage.bytes_out())));
  out += Aligned("commits", number(usage.commits()));
  out += Aligned("peers seen", number(usage.peers_seen()));
  out += Aligned("time in the queue", absl::StrFormat("%.3g s in all", usage.queue_seconds()));
  if (usage.refused().empty()) out += Aligned("refused", "nothing");
  for (const auto& [limit, count] :
       std::map<std::string, uint64_t>(usage.refused().begin(), usage.refused().end()))
    out += Aligned("refused", absl::StrCat(number(count), " times over ", limit));
  return out;
}

// One line of what changed since the last look.
std::string Line(const v1::UsageResponse& before, const v1::UsageResponse& now, double seconds) {
  const auto rate = [seconds](uint64_t from, uint64_t to) {
    return to < from ? 0.0 : static_cast<double>(to - from) / seconds;  // less: the backend started anew
  };
  uint64_t refused = 0, refused_before = 0;
  for (const auto& [limit, count] : now.refused()) refused += count;
  for (const auto& [limit, count] : before.refused()) refused_before += count;
  return absl::StrFormat(
      "%s  in %.6g records/s, %s/s  out %s/s  refused %.6g/s  open %u  stored %s  queue %s",
      absl::FormatTime("%H:%M:%S", absl::Now(), absl::LocalTimeZone()),
      rate(before.records_in(), now.records_in()), ByteCount(rate(before.bytes_in(), now.bytes_in())),
      ByteCount(rate(before.bytes_out(), now.bytes_out())), rate(refused_before, refused), now.streams(),
      ByteCount(static_cast<double>(now.stored_bytes())), ByteCount(static_cast<double>(now.queue_bytes())));
}

absl::Status Usage(Context& context, const UsageArguments& arguments) {
  KS_RETURN_IF_ERROR(CheckTenantName(arguments.tenant));
  v1::UsageRequest request;
  request.set_tenant(arguments.tenant);
  std::optional<v1::UsageResponse> before;
  absl::Time asked;
  do {
    v1::UsageResponse now;
    KS_RETURN_IF_ERROR(context.connection->Call(&v1::TenantAdmin::Stub::Usage, request, &now,
                                                absl::StrCat("tenant ", arguments.tenant)));
    const absl::Time at = absl::Now();
    if (context.json) {
      PrintJson(now);
    } else if (before.has_value()) {
      std::cout << Line(*before, now, std::max(0.001, absl::ToDoubleSeconds(at - asked))) << std::endl;
    } else {
      std::cout << arguments.tenant << ", " << Describe(now) << std::flush;
    }
    before = std::move(now);
    asked = at;
  } while (arguments.watch && !context.termination->WaitFor(absl::Seconds(arguments.interval)));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTenantName(const std::string& name) {
  if (TenantName::Parse(name).ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", name,
                   "' is no tenant's name: give a lower-case DNS name of at least two labels, such as "
                   "acme.example"));
}

absl::Status CheckConfirmed(const std::string& tenant, const std::string& confirmed) {
  KS_RETURN_IF_ERROR(CheckTenantName(tenant));
  if (confirmed == tenant) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("this cannot be taken back: name the tenant again with --confirm ", tenant));
}

void AddTenantVerbs(CLI::App& app, Context& context, Verbs& verbs) {
  const auto create = std::make_shared<CreateArguments>();
  CLI::App& creating = *app.add_subcommand("create", "Let in a tenant: what its CA has issued, from now on");
  creating.add_option("NAME", create->tenant, "The tenant's name, which its certificates carry")->required();
  creating.add_option("--ca", create->ca, "Its CA's certificate, or up to 8 of them (PEM)")->required();
  creating.add_option("--set", create->set,
                      absl::StrCat("KEY=VALUE …: its limits, all others none; without --set it gets the "
                                   "backend's defaults. Keys: ",
                                   SettingsHelp()));
  verbs.push_back({&creating, [&context, create] { return Create(context, *create); }});

  CLI::App& listing = *app.add_subcommand("list", "Show the tenants that this certificate may administer");
  verbs.push_back({&listing, [&context] { return List(context); }});

  const auto usage = std::make_shared<UsageArguments>();
  CLI::App& using_up = *app.add_subcommand("usage", "Show what a tenant uses, has stored, and was refused");
  using_up.add_option("NAME", usage->tenant, "The tenant's name")->required();
  using_up.add_flag("--watch", usage->watch, "Then a line every --interval seconds, until interrupted");
  using_up.add_option("--interval", usage->interval, "Seconds")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  verbs.push_back({&using_up, [&context, usage] { return Usage(context, *usage); }});
}

}  // namespace keystead::admin
