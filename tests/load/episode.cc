#include "tests/load/episode.h"

#include <nlohmann/json.hpp>

#include "core/base/status.h"
#include "tests/load/machine.h"
#include "tests/load/verdict.h"

namespace keystead::load {
namespace {

using nlohmann::json;

constexpr int64_t kLeadNs = 50'000'000;  // until the first record
constexpr int64_t kDrainNs = 10'000'000'000;
constexpr int64_t kTickNs = 250'000'000;  // between two words of progress

// What the last whole window says, read under the engine's lock.
void Fill(Population& victims, const Recorder& recorder, int64_t now, Progress::Moment& moment) {
  const Timeline& timeline = recorder.timeline();
  moment.phase = timeline.At(now).value_or(Phase::kRecovery);
  moment.share = static_cast<double>(now - timeline.bounds.front()) /
                 static_cast<double>(timeline.end() - timeline.bounds.front());
  const int64_t window = (now - timeline.bounds.front()) / Recorder::kWindowNs - 1;
  if (window < 0) return;
  const auto at = static_cast<size_t>(window);
  victims.engine().Locked([&](EngineCore&) {
    if (at >= recorder.windows().size()) return;
    moment.goodput_per_second = static_cast<double>(recorder.acknowledged_by_window()[at]) * 1e9 /
                                static_cast<double>(Recorder::kWindowNs);
    moment.p99_us = recorder.windows().Quantile(at, 0.99);
    uint64_t alone = 0;
    for (const TenantRecord& tenant : recorder.tenants())
      alone += tenant.acknowledged[static_cast<size_t>(Phase::kAlone)];
    const double seconds = timeline.SecondsOf(Phase::kAlone);
    if (moment.phase > Phase::kAlone && seconds > 0)
      moment.alone_per_second = static_cast<double>(alone) / seconds;
  });
}

// Sleeps through the phases, takes the CPU samples at their bounds.
absl::Status Watch(const EpisodeOptions& options, Population& victims, const Recorder& recorder,
                   const CpuMeter& meter, Progress& progress, TerminationSignal& termination, PhaseUse& use) {
  const Timeline& timeline = recorder.timeline();
  Progress::Moment moment;
  moment.behaviour = options.behaviour;
  moment.episode = options.index;
  moment.episodes = options.count;
  SleepUntilNs(timeline.bounds.front());
  CpuSample before = meter.Now();
  for (size_t phase = 0; phase < kPhases; ++phase) {
    const int64_t end = timeline.bounds[phase + 1];
    for (int64_t now = NowNs(); now < end; now = NowNs()) {
      Fill(victims, recorder, now, moment);
      progress.Now(moment);
      if (termination.WaitFor(absl::Nanoseconds(std::min(kTickNs, end - now))))
        return absl::CancelledError("stopped before the end; there is no report");
    }
    const CpuSample after = meter.Now();
    use[phase] = UseBetween(before, after);
    before = after;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<json> RunEpisode(const EpisodeOptions& options, Population& victims,
                                NeighbourProcess* neighbours, const CpuMeter& meter, Progress& progress,
                                TerminationSignal& termination) {
  const Timeline timeline = Timeline::Of(NowNs() + kLeadNs, options.seconds);
  Recorder recorder(timeline, victims.tenants().size());
  KS_ASSIGN_OR_RETURN(const DeviceLoad load, victims.Ordinary(timeline.bounds.front(), timeline.end()));
  if (neighbours != nullptr) KS_RETURN_IF_ERROR(neighbours->Begin(options.behaviour, timeline));
  victims.engine().Begin(&recorder, load);
  PhaseUse use;
  const absl::Status watched = Watch(options, victims, recorder, meter, progress, termination, use);
  victims.engine().Drain(watched.ok() ? timeline.end() + kDrainNs : NowNs());
  victims.engine().Rest();
  KS_RETURN_IF_ERROR(watched);
  std::vector<std::string> names;
  for (const TenantCredentials& tenant : victims.tenants()) names.push_back(tenant.name.str());
  json out = EpisodeToJson(recorder, names, use);
  out["behaviour"] = BehaviourName(options.behaviour);
  out["sentence"] = BehaviourSentence(options.behaviour);
  if (neighbours != nullptr) {
    KS_ASSIGN_OR_RETURN(out["neighbours"], neighbours->AwaitOutcome());
  }
  return out;
}

}  // namespace keystead::load
