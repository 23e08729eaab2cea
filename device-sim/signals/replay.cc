#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "device-sim/signals/kinds.h"

namespace keystead::device_sim {
namespace {

// Row i is due i / rate after the first Take. Nothing is skipped: a Take returns all rows due since the last
// one.
class Replay final : public Signal {
 public:
  Replay(std::shared_ptr<const CsvColumn> column, const SignalOptions& options)
      : column_(std::move(column)),
        unit_(options.replay_unit),
        rate_(options.rows_per_second),
        loop_(options.loop) {}

  std::vector<Sample> Take(absl::Time now) override {
    if (start_ == absl::InfiniteFuture()) start_ = now;
    std::vector<Sample> out;
    while (!Exhausted() && out.size() < kMaxReplayRowsPerTake) {
      const absl::Time due = start_ + absl::Seconds(static_cast<double>(next_) / rate_);
      if (due > now) break;
      const double value = column_->values[next_ % column_->values.size()];
      out.push_back(std::isnan(value) ? BadSample(column_->name, unit_, "no value in this row", due)
                                      : GoodSample(column_->name, unit_, value, due));
      ++next_;
    }
    return out;
  }

  bool Exhausted() const override { return !loop_ && next_ >= column_->values.size(); }

 private:
  std::shared_ptr<const CsvColumn> column_;
  std::string unit_;
  double rate_;
  bool loop_;
  absl::Time start_ = absl::InfiniteFuture();  // not yet begun
  uint64_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Signal>> MakeReplay(const SignalOptions& options) {
  if (!(options.rows_per_second > 0) || options.rows_per_second > kMaxReplayRate) {
    return absl::InvalidArgumentError(absl::StrCat("the rate of a replay must be above 0 and at most ",
                                                   kMaxReplayRate, " rows per second"));
  }
  std::shared_ptr<const CsvColumn> column = options.column;
  if (column == nullptr) {
    if (options.replay_file.empty() || options.replay_column.empty()) {
      return absl::InvalidArgumentError("a replay needs a CSV file and the name of a column");
    }
    KS_ASSIGN_OR_RETURN(CsvColumn read, ReadCsvColumn(options.replay_file, options.replay_column));
    column = std::make_shared<const CsvColumn>(std::move(read));
  }
  if (column->values.empty()) return absl::InvalidArgumentError("a replay needs at least one row");
  return std::make_unique<Replay>(std::move(column), options);
}

}  // namespace keystead::device_sim
