// Load for measurements: records of opaque readings, sealed on a few threads for all devices.

#include <algorithm>
#include <thread>

#include "core/observe/log.h"
#include "device-sim/fleet.h"
#include "device-sim/readings.h"

namespace keystead::device_sim {
namespace {

constexpr absl::Duration kNap = absl::Microseconds(200);  // when nothing is due, or the hop is behind

}  // namespace

// THREAD: one of load_threads_; takes every n-th device. With a rate the load is open loop: what the hop does
// not take in time goes to the journal, and beyond that is lost and said so.
void Fleet::RunLoad(size_t thread) {
  const size_t threads = load_threads_.capacity() == 0 ? 1 : std::min(options_.load_threads, devices_.size());
  LoadBatch batch(options_.batch, options_.reading_bytes, RandomSource::System());
  const double rate =
      options_.readings_per_second / static_cast<double>(options_.batch) / static_cast<double>(threads);
  uint64_t records = 0;
  absl::Duration started = -absl::InfiniteDuration();
  while (!stopping()) {
    bool idle = true;
    for (size_t i = thread; i < devices_.size() && !stopping(); i += threads) {
      Device& device = *devices_[i];
      if (!device.running()) continue;
      const absl::Duration now = clock_.Uptime();
      if (started == -absl::InfiniteDuration()) started = now;
      const bool due = rate > 0 ? static_cast<double>(records) < rate * absl::ToDoubleSeconds(now - started)
                                : device.LoadBacklog() < options_.window_bytes;
      if (!due) continue;
      idle = false;
      for (size_t n = 0; n < options_.burst; ++n) {
        const absl::Status sent = device.SendLoad(AsBytes(batch.Encode(clock_.Now())));
        if (!sent.ok()) break;
        ++records;
      }
      device.FlushLoad().IgnoreError();  // cannot fail today; what it would say is logged by the tick
    }
    if (idle) std::this_thread::sleep_for(absl::ToChronoMicroseconds(kNap));
  }
}

}  // namespace keystead::device_sim
