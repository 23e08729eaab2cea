// keystead-infra-sim: the equipment nobody should have to trust.
#include <CLI/CLI.hpp>

#include "core/program/program.h"
#include "infra-sim/ctl.h"
#include "infra-sim/run.h"

namespace keystead::infra {
namespace {

// One value per flag, so that what follows it is never taken for another; lists in files; ';' in variables.
void AddList(CLI::App& app, const std::string& flag, std::vector<std::string>& into,
             const std::string& help) {
  app.add_option(flag, into, help)->delimiter(';')->allow_extra_args(false);
}

void AddRunOptions(CLI::App& app, RunArguments& run) {
  AddList(app, "--tcp", run.tcp,
          "TCP relay: name=N,listen=HOST:PORT,upstream=HOST:PORT[,max_connections=N]; repeatable");
  AddList(app, "--balancer", run.balancers,
          "TLS-terminating balancer: name=N,listen=HOST:PORT,chain=F,key=F,roots=F; repeatable");
  AddList(app, "--upstream", run.upstreams,
          "next hop of one tenant: balancer=N,tenant=NAME,address=HOST:PORT,chain=F,key=F,roots=F,"
          "server=SPIFFE-ID; repeatable");
  AddList(app, "--canary", run.canaries,
          "planted text to look for in all that passes (raw, hex, base64); repeatable");
  app.add_option("--tenants", run.tenants, "folder with <tenant>/ca.pem of the tenants to recognise");
  app.add_option("--control-listen", run.control_listen, "address of InfraControl (role admin only)");
  AddCertificateOptions(app, run.control_files, "control-", false);
  app.add_option("--memory-bytes", run.memory_bytes, "what is remembered for splices, replays and 'seen'")
      ->capture_default_str();
}

struct CtlFields {
  std::string topic_prefix, direction, listener;
  uint32_t count = 0, delay_ms = 0;
  uint64_t seed = 0;
};

void AddArm(CLI::App& ctl, CtlArguments& arguments, CtlFields& fields) {
  CLI::App& arm = *ctl.add_subcommand("arm", "one attack more; prints its number");
  arm.add_option(
         "--kind", arguments.kind,
         "read, modify, drop, ack_and_drop, delay, reorder, duplicate, replay, splice, truncate, forge")
      ->required();
  arm.add_option("--target", arguments.target,
                 "tenant, instantiation, topic, sender, epoch, stream, sequence, cose_protected, cose_kid, "
                 "cose_partial_iv, cose_ciphertext, cose_tag");
  arm.add_option("--topic-prefix", fields.topic_prefix,
                 "only topics that begin so; also registry, rendezvous, tls");
  arm.add_option("--direction", fields.direction, "up or down; both when left out");
  arm.add_option("--listener", fields.listener, "only on this listener");
  arm.add_option("--count", fields.count, "records to attack; 0: until disarmed");
  arm.add_option("--seed", fields.seed, "which bit, which record");
  arm.add_option("--delay-ms", fields.delay_ms, "how long; for drop: end the call then");
  arm.add_option("--instantiation", arguments.instantiation_hex, "only this one, in hex");
}

CLI::App& AddCtl(CLI::App& app, CtlArguments& arguments, CtlFields& fields) {
  CLI::App& ctl = *app.add_subcommand("ctl", "drive a running keystead-infra-sim");
  ctl.add_option("--control", arguments.address, "host:port of its InfraControl")->required();
  AddCertificateOptions(ctl, arguments.files);
  ctl.add_option("--server", arguments.server, "SPIFFE id expected there")->required();
  ctl.add_flag("--json", arguments.json, "print JSON");
  ctl.require_subcommand(1);
  ctl.fallthrough();
  AddArm(ctl, arguments, fields);
  ctl.add_subcommand("plan",
                     "arm what standard input says, an ArmRequest in JSON a line; prints their numbers");
  ctl.add_subcommand("session",
                     "answer each line of standard input with a line of JSON: arm ARMREQUEST, disarm N, "
                     "injections N, seen N");
  CLI::App& disarm = *ctl.add_subcommand("disarm", "end an attack, or all");
  disarm.add_option("--attack", arguments.attack, "its number; 0: all");
  CLI::App& injections = *ctl.add_subcommand("injections", "what was really done, record by record");
  injections.add_option("--attack", arguments.attack, "its number; 0: all");
  CLI::App& seen = *ctl.add_subcommand("seen", "what passed by");
  seen.add_option("--last", arguments.last, "how many groups, at most 1000");
  for (CLI::App* verb : ctl.get_subcommands({})) verb->fallthrough();
  return ctl;
}

int Main(int argc, char** argv) {
  Program program(
      "keystead-infra-sim",
      "The equipment that nobody should have to trust: TCP relays and TLS-terminating balancers that "
      "attack what they carry. Without a verb it serves; 'ctl' drives a serving one.",
      "KEYSTEAD_INFRA");
  program.OfferMetrics();
  RunArguments run;
  CtlArguments ctl;
  CtlFields fields;
  AddRunOptions(program.app(), run);
  const CLI::App& ctl_app = AddCtl(program.app(), ctl, fields);
  return program.Run(argc, argv, [&]() -> absl::Status {
    if (!ctl_app.parsed()) return Run(run, program);
    ctl.verb = ctl_app.get_subcommands().front()->get_name();
    ctl.arm.set_topic_prefix(fields.topic_prefix);
    ctl.arm.set_direction(fields.direction);
    ctl.arm.set_listener(fields.listener);
    ctl.arm.set_count(fields.count);
    ctl.arm.set_seed(fields.seed);
    ctl.arm.set_delay_ms(fields.delay_ms);
    return RunCtl(ctl);
  });
}

}  // namespace
}  // namespace keystead::infra

int main(int argc, char** argv) { return keystead::infra::Main(argc, argv); }
