// How much the writer may have at a time. What arrives waits for what is being committed, so as long as
// several tenants bring something a commit is to take a few milliseconds, whatever its bytes cost on this
// disk; a tenant who is alone gets long batches.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace keystead::backend {

// Not thread-safe. `now` is any clock that does not go back by much.
class WriterPace {
 public:
  struct Options {
    size_t most_bytes = 2 << 20;
    size_t least_bytes = 128 << 10;  // below it what a sync costs whatever its size would be most of a commit
    absl::Duration commit = absl::Milliseconds(4);
  };
  explicit WriterPace(const Options& options) : options_(options) {}

  void Arrived(uint32_t tenant, absl::Time now) {
    if (last_tenant_.has_value() && *last_tenant_ != tenant) shared_until_ = now + kSharedFor;
    last_tenant_ = tenant;
  }
  void Given(size_t bytes, absl::Time now) {
    if (at_writer_ == 0) busy_since_ = now;
    at_writer_ += bytes;
  }
  void TakenBack(size_t bytes) { at_writer_ -= bytes; }
  void Done(size_t bytes, absl::Time now) {
    at_writer_ -= bytes;
    done_ += bytes;
    busy_ += std::max(now - busy_since_, absl::ZeroDuration());
    busy_since_ = now;
    if (busy_ < kMeasured) return;
    const double rate = static_cast<double>(done_) / absl::ToDoubleSeconds(busy_);
    per_second_ = per_second_ > 0 ? 0.7 * per_second_ + 0.3 * rate : rate;
    busy_ = absl::ZeroDuration();
    done_ = 0;
  }

  size_t at_writer() const { return at_writer_; }
  // Of bytes at the writer, those being committed included.
  size_t Limit(absl::Time now) const {
    if (now >= shared_until_ || per_second_ <= 0) return options_.most_bytes;
    const auto fits = static_cast<size_t>(per_second_ * absl::ToDoubleSeconds(options_.commit));
    return std::clamp(fits, std::min(options_.least_bytes, options_.most_bytes), options_.most_bytes);
  }

 private:
  static constexpr absl::Duration kSharedFor = absl::Seconds(1);
  static constexpr absl::Duration kMeasured = absl::Milliseconds(20);

  const Options options_;
  std::optional<uint32_t> last_tenant_;
  absl::Time shared_until_ = absl::InfinitePast();
  size_t at_writer_ = 0;
  absl::Time busy_since_;
  absl::Duration busy_;  // since the last measurement
  size_t done_ = 0;      // likewise
  double per_second_ = 0;
};

}  // namespace keystead::backend
