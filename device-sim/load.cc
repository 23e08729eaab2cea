// Load for measurements: records of opaque readings, sealed on a few threads for all devices.

#include <algorithm>
#include <thread>

#include "core/observe/log.h"
#include "device-sim/fleet.h"
#include "device-sim/readings.h"

namespace keystead::device_sim {
namespace {

constexpr absl::Duration kNap = absl::Microseconds(200);      // when the hop is behind, or no device runs yet
constexpr absl::Duration kLongest = absl::Milliseconds(100);  // of a sleep: a Stop() is seen after it

}  // namespace

// THREAD: one of load_threads_; takes every n-th device, in turns. With a rate the load is open loop: what
// the hop does not take in time goes to the journal, and beyond that is lost and said so.
void Fleet::RunLoad(size_t thread, size_t threads) {
  std::vector<Device*> mine;
  for (size_t i = thread; i < devices_.size(); i += threads) mine.push_back(devices_[i].get());
  LoadBatch batch(options_.batch, options_.reading_bytes, RandomSource::System());
  const double rate =
      options_.readings_per_second / static_cast<double>(options_.batch) / static_cast<double>(threads);
  uint64_t records = 0;
  absl::Duration started = absl::InfiniteDuration();
  absl::Time started_at;
  const auto until_due = [&] {  // the first record at once, each next one 1 / rate later
    return started + absl::Seconds(static_cast<double>(records) / rate) - clock_.Uptime();
  };
  size_t next = 0;
  size_t passed = 0;  // devices in a row that had nothing to do
  while (!stopping()) {
    absl::Duration rest = passed >= mine.size() ? kNap : absl::ZeroDuration();
    if (rate > 0 && started != absl::InfiniteDuration()) rest = std::max(rest, until_due());
    if (rest > absl::ZeroDuration()) {
      std::this_thread::sleep_for(absl::ToChronoNanoseconds(std::min(rest, kLongest)));
      passed = 0;
      continue;
    }
    Device& device = *mine[next];
    next = (next + 1) % mine.size();
    ++passed;
    if (!device.running() || (rate == 0 && device.LoadBacklog() >= options_.window_bytes)) continue;
    if (started == absl::InfiniteDuration()) {
      started = clock_.Uptime();
      started_at = clock_.Now();
    }
    for (size_t n = 0; n < options_.burst; ++n, ++records) {
      if (!device.SendLoad(AsBytes(batch.Encode(TakenAt(started_at, rate, records, clock_.Now())))).ok())
        break;
    }
    device.FlushLoad().IgnoreError();  // cannot fail today; what it would say is logged by the tick
    passed = 0;
  }
}

}  // namespace keystead::device_sim
