// keystead-mobile-stub: the owner's app on the command line.
#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "core/program/certificate_metrics.h"
#include "core/program/program.h"
#include "mobile-stub/verbs.h"

namespace keystead::mobile {
namespace {

struct Options {
  CommonOptions common;
  PairOptions pair;
  JoinOptions join;
  WatchVerbOptions watch;
  SendOptions send;
  RawOptions raw, binding;
  ServeOptions serve;
  std::string courier, member;
  double remove_wait = 10, status_wait = 5;
};

void AddCommon(CLI::App& app, CommonOptions& common) {
  app.add_option("--state", common.engine.state_folder, "This app's folder (mode 0700, made when missing)");
  app.add_option("--next-hop", common.engine.next_hop, "HOST:PORT of the gateway, balancer or backend");
  app.add_option("--next-hop-id", common.engine.next_hop_id,
                 "SPIFFE id expected there; its last element may be *");
  AddCertificateOptions(app, common.engine.tls, "", false);
  AddDeniedServersOption(app, common.engine.tls.denied_servers);
  app.add_flag("--json", common.json, "One JSON object a line");
}

void AddPair(CLI::App& app, Options& o) {
  CLI::App& pair = *app.add_subcommand("pair", "Make devices yours, or let guests in, by their labels");
  pair.add_option("--label-file", o.pair.label_files,
                  "Label file (mode 0600), or - for standard input; repeatable")
      ->required()
      ->allow_extra_args(false);
  pair.add_option("--recovery-out", o.pair.recovery_out,
                  "Write the recovery key to this new file, not the terminal");
  pair.add_option("--wait", o.pair.wait_seconds, "Seconds for the device to answer, then to open a stream")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  pair.add_option("--guest", o.pair.guest,
                  "The one label is of a guest: SPIFFE id of its certificate, as 'join' says it");
  pair.add_option("--may-read", o.pair.may_read,
                  "With --guest: a member of which it may read what it measures; repeatable")
      ->allow_extra_args(false);
  pair.add_option("--until", o.pair.until, "With --guest: when that ends, as in 2026-12-31T18:00:00Z");
  CLI::App& join =
      *app.add_subcommand("join", "Be let into somebody's home as a guest, who reads what its owner grants");
  join.add_option("--label-out", o.join.label_out,
                  "Write the one-time label into this file (0600): for the owner, and for nobody else")
      ->required();
  join.add_option("--wait", o.join.wait_seconds, "Seconds for the owner to pair it")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI::App& courier = *app.add_subcommand("add-courier", "Let a balancer carry records; it gets no keys");
  courier.add_option("spiffe-id", o.courier, "Its transport identity")->required();
  CLI::App& remove = *app.add_subcommand("remove", "Put a member out; everybody else gets new keys");
  remove.add_option("member", o.member, "Member id, its start, or device id")->required();
  remove.add_option("--wait", o.remove_wait, "Seconds to wait until the others write under new keys")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_subcommand("withdraw", "Take back a change that the registry keeps refusing");
  app.add_subcommand("members", "Who belongs, with which rights");
}

void AddWatch(CLI::App& app, Options& o) {
  CLI::App& watch = *app.add_subcommand("watch", "Live values, verified");
  watch.add_option("--duration", o.watch.duration_seconds, "Seconds; 0: until stopped")
      ->check(CLI::NonNegativeNumber);
  watch.add_flag("--once", o.watch.once, "Show what there is and end");
  CLI::Option* const no_probe =
      watch.add_flag("--no-probe", o.watch.no_probe, "Send no probes: nothing is then known to be live");
  watch
      .add_option("--live-within", o.watch.live_seconds,
                  "Seconds for which a device's answer to a probe lets it be called live")
      ->check(CLI::Range(3.0, 30.0))
      ->excludes(no_probe)
      ->capture_default_str();
  watch.add_flag("--mean", o.watch.mean, "Only the mean of what is live and signed for, once a second");
  watch
      .add_option("--plausible", o.watch.plausible,
                  "With --mean: what is possible, as 'temperature=-40..125 Cel'; repeatable")
      ->allow_extra_args(false);
  watch.add_flag("--stats", o.watch.stats, "Count only, and print a summary at the end");
  watch
      .add_option("--warm-up", o.watch.warm_up_seconds,
                  "With --stats: readings of the first so many seconds are not counted")
      ->check(CLI::NonNegativeNumber);
}

void AddSend(CLI::App& app, Options& o) {
  CLI::App& send =
      *app.add_subcommand("send", "Tell a device to do something, and wait for its signed answer");
  send.add_option("device", o.send.target, "Member id, its start, or device id")->required();
  send.add_option("command", o.send.operation, "on, off, brightness, …")
      ->required()
      ->check([](const std::string& name) {
        const bool fits =
            !name.empty() && name.size() <= 32 &&
            name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
        return fits ? std::string() : "a command is 1 to 32 characters of a-z, 0-9 and -";
      });
  send.add_option("argument", o.send.argument, "A whole number, for commands that take one");
  send.add_option("--ttl", o.send.ttl_seconds, "Seconds within which the device must get it")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  send.add_option("--timeout", o.send.timeout_seconds, "Seconds to wait for the answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  send.add_flag("--force", o.send.force, "Also when the device's last word may be old");
}

void AddRaw(CLI::App& app, Options& o) {
  CLI::App& raw = *app.add_subcommand("raw", "What the next hop holds, as it holds it");
  CLI::App& binding =
      *app.add_subcommand("verify-binding", "With real records: does the seal alone bind every outer field?");
  o.binding.last = 64;
  for (auto [sub, to] : {std::pair(&raw, &o.raw), std::pair(&binding, &o.binding)}) {
    sub->add_option("--topic", to->topic, "Only this topic");
    sub->add_option("--last", to->last, "Newest records of each topic")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    sub->add_option("--wait", to->wait_seconds, "Seconds")->check(CLI::PositiveNumber)->capture_default_str();
  }
  CLI::App& status = *app.add_subcommand("status", "Streams, epochs, alarms");
  status.add_option("--wait", o.status_wait, "Seconds for the next hop to send what is new")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void AddServe(CLI::App& app, ServeOptions& o) {
  CLI::App& serve = *app.add_subcommand("serve", "The owner's console: a page for a browser on this machine");
  serve.add_option("--listen", o.listen, "ADDRESS:PORT; port 0 is any free one")->capture_default_str();
  serve.add_flag("--reachable-by-others-without-tls", o.reachable_by_others_without_tls,
                 "Listen beyond loopback: for a container whose port is published on the host's loopback");
  serve.add_option("--public-address", o.public_address,
                   "HOST:PORT for the printed address, where it is another");
  serve.add_option("--host-name", o.host_names, "A further name by which a browser may call; repeatable")
      ->allow_extra_args(false);
  serve.add_option("--url-out", o.url_out,
                   "Write the address with its token into this file (0600), print it not");
  serve.add_option("--token-file", o.token_file,
                   "Keep the session token in this file (0600, made when missing): pages survive a restart");
  serve.add_option("--recovery-out", o.recovery_out,
                   "Write the recovery key of a first pairing to this new file, not the terminal");
  serve
      .add_option("--idle", o.idle_seconds,
                  "End when nobody did anything on the page for so many seconds; 0: never")
      ->check(CLI::NonNegativeNumber);
  serve.add_flag("--no-events", o.no_events, "With --json: print the address only, not all that happens");
  const char* const form =
      "name=N,address=HOST:PORT,server=SPIFFE-ID,chain=F,key=F,roots=F[,tenant=NAME,instantiation=HEX or "
      "@FILE,control]; repeatable";
  serve
      .add_option("--observe", o.observed,
                  absl::StrCat("A process that shows what it holds of this home, or of a control: ", form))
      ->delimiter(';')
      ->allow_extra_args(false);
  serve
      .add_option("--infra", o.infra,
                  "Hostile equipment that the page may tell to attack: name=N,address=…, as --observe")
      ->delimiter(';')
      ->allow_extra_args(false);
}

absl::Status Dispatch(const Options& o, Program& program) {
  const std::string verb = program.app().get_subcommands().front()->get_name();
  // `watch` and `serve` end by themselves when asked to, and store what they have read.
  if (verb == "serve" || (verb == "watch" && !o.watch.once)) {
    const CertificateMetrics certificates({{"own", o.common.engine.tls.chain}});
    return verb == "serve" ? RunServe(o.common, o.serve, program) : RunWatch(o.common, o.watch, program);
  }
  Interrupter interrupter(&program.termination(), program.name());
  if (verb == "pair") return RunPair(o.common, o.pair, program, interrupter);
  if (verb == "join") return RunJoin(o.common, o.join, interrupter);
  if (verb == "add-courier") return RunAddCourier(o.common, o.courier, interrupter);
  if (verb == "remove") return RunRemove(o.common, o.member, o.remove_wait, program, interrupter);
  if (verb == "withdraw") return RunWithdraw(o.common, interrupter);
  if (verb == "members") return RunMembers(o.common);
  if (verb == "watch") return RunWatch(o.common, o.watch, program);
  if (verb == "send") return RunSend(o.common, o.send, interrupter);
  if (verb == "status") return RunStatus(o.common, o.status_wait);
  if (verb == "raw") return RunRaw(o.common, o.raw);
  return RunVerifyBinding(o.common, o.binding);
}

int Main(int argc, char** argv) {
  Program program("keystead-mobile-stub",
                  "The owner's app: pairs devices by their labels, shows what they say and what of it may be "
                  "believed, and tells them what to do.",
                  "KEYSTEAD_MOBILE");
  program.OfferMetrics();
  Options options;
  CLI::App& app = program.app();
  AddCommon(app, options.common);
  AddPair(app, options);
  AddWatch(app, options);
  AddSend(app, options);
  AddRaw(app, options);
  AddServe(app, options.serve);
  app.require_subcommand(1);
  for (CLI::App* verb : app.get_subcommands({})) verb->fallthrough();
  program.InvalidArgumentIsMistyped();
  return program.Run(argc, argv, [&] { return Dispatch(options, program); });
}

}  // namespace
}  // namespace keystead::mobile

int main(int argc, char** argv) { return keystead::mobile::Main(argc, argv); }
