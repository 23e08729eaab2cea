// watch, status, send, raw, verify-binding.

#include <unistd.h>

#include <map>
#include <optional>

#include "absl/strings/str_join.h"
#include "mobile-stub/aside.h"
#include "mobile-stub/command_sender.h"
#include "mobile-stub/hop_contents.h"
#include "mobile-stub/means.h"
#include "mobile-stub/members.h"
#include "mobile-stub/pending_keeper.h"
#include "mobile-stub/verbs.h"
#include "mobile-stub/views.h"

namespace keystead::mobile {
namespace {

using nlohmann::json;

constexpr absl::Duration kCatchUp = absl::Seconds(30);
constexpr absl::Duration kKeepPendingEvery = absl::Seconds(5);

void PrintSummary(const Throughput& throughput, bool as_json) {
  const json summary = JsonOf(throughput);
  if (as_json) return PrintJson(summary);
  const Throughput::Summary s = throughput.summary();
  std::printf(
      "%llu readings in %llu records over %.3f s; latency us p50 %llu p90 %llu p99 %llu; duplicates %llu, "
      "missing %llu, alarms %llu\n",
      static_cast<unsigned long long>(s.readings), static_cast<unsigned long long>(s.records),
      absl::ToDoubleSeconds(s.span), static_cast<unsigned long long>(throughput.latency().Quantile(0.5)),
      static_cast<unsigned long long>(throughput.latency().Quantile(0.9)),
      static_cast<unsigned long long>(throughput.latency().Quantile(0.99)),
      static_cast<unsigned long long>(s.duplicates), static_cast<unsigned long long>(s.missing_records),
      static_cast<unsigned long long>(s.alarms));
}

void PrintMean(const Mean& mean, bool as_json) {
  if (as_json) {
    return PrintJson({{"event", "mean"},
                      {"channel", mean.channel},
                      {"unit", mean.unit},
                      {"mean", mean.value},
                      {"members", mean.members},
                      {"left_out", mean.left_out},
                      {"implausible", mean.implausible},
                      {"alarms", mean.alarms}});
  }
  std::printf("%s %.3f %s, mean of %zu members, %zu left out; %llu alarms%s%s\n",
              Printable(mean.channel).c_str(), mean.value, Printable(mean.unit).c_str(), mean.members,
              mean.left_out, static_cast<unsigned long long>(mean.alarms),
              mean.implausible.empty() ? "" : "; implausible: ",
              Printable(absl::StrJoin(mean.implausible, ", ")).c_str());
  std::fflush(stdout);
}

absl::StatusOr<std::vector<HeldRecord>> Fetch(const Engine& engine, const RawOptions& options) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  std::vector<Topic> topics;
  if (options.topic.empty()) {
    KS_ASSIGN_OR_RETURN(topics, AllTopics(engine));
  } else {
    KS_ASSIGN_OR_RETURN(const Topic topic, Topic::Parse(options.topic));
    topics.push_back(topic);
  }
  return FetchRecords(engine, topics, options.last, absl::Seconds(options.wait_seconds));
}

}  // namespace

absl::Status RunWatch(const CommonOptions& common, const WatchVerbOptions& options, Program& program) {
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  KS_ASSIGN_OR_RETURN(auto kinds, engine->state().LoadKinds());
  DeviceBoard board(std::move(kinds));
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  LiveTable table(&board, terminal && !options.once);
  JsonEvents events;
  PlainLines lines;
  Throughput throughput(&engine->clock(), absl::Seconds(options.warm_up_seconds));
  std::map<std::string, Plausible> plausible;
  for (const std::string& text : options.plausible) {
    KS_ASSIGN_OR_RETURN(auto declared, Plausible::Parse(text));
    plausible.insert(std::move(declared));
  }
  Means means([&](const Mean& mean) { PrintMean(mean, common.json); }, std::move(plausible));
  WatchObserver* observer = &table;
  if (options.mean) {
    observer = &means;
  } else if (options.stats) {
    observer = &throughput;
  } else if (common.json) {
    observer = &events;
  } else if (!terminal && !options.once) {
    observer = &lines;
  }
  WatchOptions watch;
  watch.limits.live_age = absl::Seconds(options.live_seconds);
  // Two probes may be lost until a device that answers is called late.
  watch.probe_interval = std::min(watch.probe_interval, watch.limits.live_age / 3);
  if (options.no_probe) watch.probe_interval = absl::ZeroDuration();
  watch.remember = !options.once;  // a look changes nothing
  std::optional<PendingKeeper> keeper;
  if (!options.once && engine->has_hop()) keeper.emplace(engine.get(), kKeepPendingEvery);
  KS_ASSIGN_OR_RETURN(const auto session, WatchSession::Start(*engine, observer, watch));
  KS_RETURN_IF_ERROR(program.AnnouncePorts({}));
  absl::Status status;
  if (options.once) {
    const absl::Duration patience =
        options.duration_seconds > 0 ? absl::Seconds(options.duration_seconds) : kCatchUp;
    if (!session->AwaitCaughtUp(patience)) {
      status = absl::DeadlineExceededError("the next hop did not send everything in time");
    } else if (!options.no_probe) {
      // A moment for the answers to the first probe.
      session->AwaitStreams(
          [](const std::vector<StreamStatus>& streams) {
            for (const StreamStatus& s : streams) {
              if (s.current && !s.ended && s.liveness != Liveness::kLive) return false;
            }
            return true;
          },
          absl::Seconds(2));
    }
  } else if (options.duration_seconds > 0) {
    program.termination().WaitFor(absl::Seconds(options.duration_seconds));
  } else {
    program.termination().Wait();
  }
  if (options.once && status.ok()) observer->OnState(session->Streams());
  KS_RETURN_IF_ERROR(session->Stop());
  if (options.once && observer == &table) table.Draw();
  if (options.stats) PrintSummary(throughput, common.json);
  return status;
}

absl::Status RunSend(const CommonOptions& common, const SendOptions& options, Interrupter& interrupter) {
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  Aside aside(common.json);
  interrupter.Say("nothing was sent");
  SendRequest request;
  request.target = options.target;
  request.operation = {options.operation, options.argument};
  request.time_to_live = absl::Seconds(options.ttl_seconds);
  request.timeout = absl::Seconds(options.timeout_seconds);
  request.force = options.force;
  const auto progress = [&](const Progress& p) {
    if (p.event == "sent") interrupter.Say("the command was sent; whether the device acts is not known");
    if (common.json) {
      PrintJson({{"event", "progress"}, {"step", p.event}, {"device", p.who}, {"detail", p.detail}});
    }
  };
  const absl::StatusOr<SendOutcome> sent = SendCommand(*engine, request, progress, &aside);
  if (absl::IsFailedPrecondition(sent.status()) && !options.force) {
    return absl::FailedPreconditionError(
        absl::StrCat(sent.status().message(), "; --force tries with the last word there is"));
  }
  KS_RETURN_IF_ERROR(sent.status());
  const SendOutcome& outcome = *sent;
  const std::string_view result = CommandResultName(outcome.answer.result);
  if (common.json) {
    PrintJson({{"event", "answer"},
               {"device", outcome.device_id},
               {"member", outcome.target.ToHex()},
               {"command", outcome.command_hash.ToHex()},
               {"counter", outcome.counter},
               {"result", result},
               {"detail", outcome.answer.detail},
               {"attempts", outcome.attempts},
               {"word", LivenessName(outcome.word)},
               {"round_trip_ms", absl::ToDoubleMilliseconds(outcome.round_trip)}});
  } else {
    std::printf("%s: %s%s%s (signed, %.1f ms)\n", outcome.device_id.c_str(), std::string(result).c_str(),
                outcome.answer.detail.empty() ? "" : ", ", Printable(outcome.answer.detail).c_str(),
                absl::ToDoubleMilliseconds(outcome.round_trip));
  }
  if (outcome.answer.result == CommandResult::kDone) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(outcome.device_id, " did not do it: ", Absl(result)));
}

absl::Status RunStatus(const CommonOptions& common, double wait_seconds) {
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  Aside aside(common.json);
  WatchOptions watch;
  watch.remember = false;
  watch.heads = false;
  watch.limits.stale_age = absl::InfiniteDuration();
  KS_ASSIGN_OR_RETURN(const auto session, WatchSession::Start(*engine, &aside, watch));
  const bool reached = session->AwaitCaughtUp(absl::Seconds(wait_seconds));
  const std::vector<StreamStatus> streams = session->Streams();
  const uint64_t epoch = session->epoch();
  KS_RETURN_IF_ERROR(session->Stop());
  KS_ASSIGN_OR_RETURN(const Member member, engine->state().LoadMember());
  KS_ASSIGN_OR_RETURN(const auto pending_changes, engine->state().LoadPending());
  KS_ASSIGN_OR_RETURN(const ReaderMemory memory, engine->state().LoadReaderMemory());
  // Remembered ones up to where it was read before, and this session's from there on.
  std::map<std::string, uint64_t> alarms = memory.alarms;
  for (const auto& [kind, count] : session->AlarmCounts()) alarms[kind] += count;
  json waiting = json::array();
  if (reached) {
    for (const MemberId& id : NotYetUnderNewKeys(member.chain(), member.identity().self, streams)) {
      waiting.push_back(DeviceIdOf(member.chain(), id));
    }
  }
  uint64_t received = 0;
  uint64_t pending = 0;
  json list = json::array();
  for (const StreamStatus& s : streams) {
    received += s.received;
    pending += s.pending;
    json one = JsonOf(s);
    one["device"] = DeviceIdOf(member.chain(), s.place.sender);
    list.push_back(std::move(one));
  }
  if (common.json) {
    PrintJson({{"event", "status"},
               {"instantiation", member.identity().id.ToHex()},
               {"epoch", epoch},
               {"hop_reached", reached},
               {"records", received},
               {"pending", pending},
               {"alarms", alarms},
               {"waiting", waiting},
               {"change_pending", !pending_changes.empty()},
               {"streams", list}});
    return absl::OkStatus();
  }
  std::printf("instantiation %s, epoch %llu, next hop %s\n", member.identity().id.ToHex().c_str(),
              static_cast<unsigned long long>(epoch), reached ? "reached" : "NOT REACHED");
  for (const json& s : list) {
    std::string flags;
    for (const json& flag : s["flags"]) absl::StrAppend(&flags, "  ", Printable(flag.get<std::string>()));
    std::printf("%-20s %-10s stream %s epoch %llu: %llu records, %llu pending, %s%s%s\n",
                s["device"].get<std::string>().c_str(), s["topic"].get<std::string>().substr(0, 9).c_str(),
                s["stream"].get<std::string>().substr(0, 8).c_str(), s["epoch"].get<unsigned long long>(),
                s["received"].get<unsigned long long>(), s["pending"].get<unsigned long long>(),
                s["liveness"].get<std::string>().c_str(), s["ended"].get<bool>() ? ", ended" : "",
                flags.c_str());
  }
  for (const json& device : waiting) {
    std::printf("waiting for %s in epoch %llu\n", device.get<std::string>().c_str(),
                static_cast<unsigned long long>(epoch));
  }
  if (!pending_changes.empty()) std::printf("a change of who belongs is not confirmed yet\n");
  for (const auto& [kind, count] : alarms) {
    std::printf("alarm %s: %llu\n", kind.c_str(), static_cast<unsigned long long>(count));
  }
  return absl::OkStatus();
}

absl::Status RunRaw(const CommonOptions& common, const RawOptions& options) {
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  KS_ASSIGN_OR_RETURN(const std::vector<HeldRecord> records, Fetch(*engine, options));
  for (const HeldRecord& record : records) {
    if (common.json) {
      json out = JsonOf(record);
      out["event"] = "held";
      PrintJson(out);
      continue;
    }
    std::printf("%s sender %s stream %s epoch %llu #%llu kid %s %zu bytes\n  %s\n",
                record.place.topic.str().c_str(), record.place.sender.Short().c_str(),
                record.place.stream.Short().c_str(), static_cast<unsigned long long>(record.place.epoch),
                static_cast<unsigned long long>(record.sequence), ToHex(record.kid).c_str(),
                record.cose.size(), ToHex(record.cose).c_str());
  }
  return absl::OkStatus();
}

absl::Status RunVerifyBinding(const CommonOptions& common, const RawOptions& options) {
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  KS_ASSIGN_OR_RETURN(const std::vector<HeldRecord> records, Fetch(*engine, options));
  KS_ASSIGN_OR_RETURN(const BindingReport report, CheckBinding(*engine, records));
  std::string open_fields;
  for (const FieldBinding& f : report.fields) {
    const bool bound = f.opened == 0 && f.records > 0;
    if (common.json) {
      PrintJson({{"event", "binding"},
                 {"field", f.field},
                 {"records", f.records},
                 {"opened", f.opened},
                 {"bound", bound}});
    } else {
      std::printf("%-14s %llu records, %llu opened elsewhere: %s\n", f.field.c_str(),
                  static_cast<unsigned long long>(f.records), static_cast<unsigned long long>(f.opened),
                  bound ? "bound" : "NOT BOUND");
    }
    if (f.opened > 0) absl::StrAppend(&open_fields, open_fields.empty() ? "" : ", ", f.field);
  }
  if (report.records == 0) {
    return absl::NotFoundError(
        "the next hop holds no record that opens with the keys here: nothing was shown");
  }
  if (!report.bound()) return absl::DataLossError(absl::StrCat("the seal does not bind: ", open_fields));
  return absl::OkStatus();
}

}  // namespace keystead::mobile
