#include "device-sim/alone.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "core/observe/log.h"
#include "device-sim/device_clock.h"
#include "device-sim/device_store.h"
#include "device-sim/diary.h"
#include "device-sim/readings.h"

namespace keystead::device_sim {
namespace {

constexpr absl::Duration kSyncEvery = absl::Seconds(30);
constexpr size_t kMaxPressed = 256;  // bytes of one line

class LoneDevice {
 public:
  LoneDevice(const Options& options, std::unique_ptr<Signal> signal, std::unique_ptr<Diary> diary)
      : options_(options), signal_(std::move(signal)), diary_(std::move(diary)) {}

  absl::Status ShowKept() const {
    uint64_t opened = 0;
    KS_ASSIGN_OR_RETURN(const uint64_t damaged, diary_->Read([&](ByteView) { ++opened; }));
    if (damaged > 0)
      Log(LogLevel::kWarning, "diary_damaged", {{"device", options_.id}, {"records", damaged}});
    Show({{"event", "kept"}, {"records", opened}, {"damaged", damaged}});
    Log(LogLevel::kInfo, "alone", {{"device", options_.id}, {"kept", opened}});
    return absl::OkStatus();
  }

  void Run(TerminationSignal& termination);

 private:
  void Show(const nlohmann::json& what) const {
    if (!options_.display) return;
    std::printf("%s\n", what.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).c_str());
    std::fflush(stdout);
  }
  void Take(const std::vector<Sample>& samples);
  bool Read();
  void Press(const std::string& operation);

  const Options& options_;
  const DeviceClock clock_;
  const std::unique_ptr<Signal> signal_;
  const std::unique_ptr<Diary> diary_;
  std::string pressed_;     // of a line that is not whole yet
  bool overlong_ = false;   // and will not be obeyed
  bool exhausted_ = false;  // said
  bool not_kept_ = false;   // said
};

void LoneDevice::Take(const std::vector<Sample>& samples) {
  if (samples.empty()) {
    if (signal_->Exhausted() && !std::exchange(exhausted_, true))
      Log(LogLevel::kInfo, "replay_ended", {{"device", options_.id}});
    return;
  }
  nlohmann::json shows;
  for (const Sample& sample : samples) shows[sample.name] = sample.value;  // NaN becomes null
  Show({{"event", "shows"}, {"values", shows}});
  const absl::Status kept = diary_->Keep(AsBytes(EncodeReadings(samples)));
  if (!kept.ok() && !std::exchange(not_kept_, true))
    Log(LogLevel::kWarning, "not_kept", {{"device", options_.id}, {"reason", Std(kept.message())}});
  if (kept.ok()) not_kept_ = false;
}

void LoneDevice::Press(const std::string& operation) {
  const absl::StatusOr<std::vector<Sample>> state = signal_->Apply(operation, clock_.Now());
  if (!state.ok()) {
    Log(LogLevel::kWarning, "button_refused",
        {{"device", options_.id}, {"reason", Std(state.status().message())}});
    Show({{"event", "refused"}, {"reason", std::string(Std(state.status().message()))}});
    return;
  }
  Log(LogLevel::kInfo, "button", {{"device", options_.id}});
  Take(*state);
}

// False when nobody can press anything any more.
bool LoneDevice::Read() {
  char buffer[kMaxPressed];
  const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  for (const char c : std::string_view(buffer, static_cast<size_t>(got))) {
    if (c != '\n') {
      overlong_ = overlong_ || pressed_.size() == kMaxPressed;
      if (!overlong_) pressed_ += c;
      continue;
    }
    Press(overlong_ ? "" : pressed_);
    pressed_.clear();
    overlong_ = false;
  }
  return got > 0;
}

void LoneDevice::Run(TerminationSignal& termination) {
  const auto [signalled, triggered] = termination.descriptors();
  const absl::Duration interval = absl::Seconds(options_.interval_seconds);
  const absl::Duration end =
      options_.duration_seconds > 0 ? absl::Seconds(options_.duration_seconds) : absl::InfiniteDuration();
  absl::Duration sample_at;
  absl::Duration sync_at = kSyncEvery;
  bool buttons = options_.buttons;
  while (clock_.Uptime() < end) {
    const absl::Duration now = clock_.Uptime();
    if (now >= sample_at) {
      Take(signal_->Take(clock_.Now()));
      sample_at = std::max(sample_at + interval, now);  // what was slept through is not made up for
    }
    if (now >= sync_at) {
      diary_->Sync().IgnoreError();  // the next one will do
      sync_at = now + kSyncEvery;
    }
    const absl::Duration wait =
        std::max(absl::ZeroDuration(), std::min({sample_at, sync_at, end}) - clock_.Uptime());
    pollfd watched[3] = {{signalled, POLLIN, 0}, {triggered, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (poll(watched, buttons ? 3 : 2,
             static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1))))) <= 0)
      continue;
    if (watched[0].revents != 0 || watched[1].revents != 0) break;
    if (buttons && watched[2].revents != 0) buttons = Read();
  }
  if (const absl::Status synced = diary_->Sync(); !synced.ok())
    Log(LogLevel::kWarning, "not_kept", {{"device", options_.id}, {"reason", Std(synced.message())}});
  const Diary::Stats stats = diary_->stats();
  Log(LogLevel::kInfo, "stopped",
      {{"device", options_.id},
       {"kept", stats.kept},
       {"kept_bytes", stats.bytes},
       {"dropped", stats.dropped}});
}

}  // namespace

absl::Status RunAlone(const Options& options, Program& program) {
  KS_RETURN_IF_ERROR(CheckOptions(options));
  KS_ASSIGN_OR_RETURN(const StateFolder folder, StateFolder::Open(options.state));
  KS_ASSIGN_OR_RETURN(const StateFolder::Lock lock, LockState(folder));
  if (folder.Has(options.id + ".member")) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.id, " belongs to a home: start it with its --next-hop, without which it works ",
                     "as well, or forget the owner with --reset there"));
  }
  KS_ASSIGN_OR_RETURN(const SignalOptions signals, SignalOptionsOf(options));
  KS_ASSIGN_OR_RETURN(
      std::unique_ptr<Signal> signal,
      MakeSignal(options.replay_file.empty() ? options.kind : "replay", options.seed, signals));
  KS_ASSIGN_OR_RETURN(std::unique_ptr<Diary> diary,
                      Diary::Open(folder, options.id, options.journal_bytes, options.reset));
  LoneDevice device(options, std::move(signal), std::move(diary));
  KS_RETURN_IF_ERROR(device.ShowKept());
  KS_RETURN_IF_ERROR(program.AnnouncePorts({}));
  device.Run(program.termination());
  return absl::OkStatus();
}

}  // namespace keystead::device_sim
