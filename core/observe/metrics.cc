#include "core/observe/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <cassert>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace keystead {
namespace {

constexpr Metric kLeftOut = {"keystead_metrics_left_out_total",
                             "Values that were not served because their metric has too many label values.",
                             MetricType::kCounter};
constexpr Metric kSources = {"keystead_metrics_sources", "Parts of the process that serve metrics.",
                             MetricType::kGauge};

using Collect = std::function<void(MetricWriter&)>;

struct Source {
  absl::Mutex busy;  // held while it is asked, and nothing else is waited for with it
  const Collect* collect ABSL_GUARDED_BY(busy) = nullptr;  // null: gone
};

// To come and to go takes no lock that is held while sources are asked: who makes one may hold what another
// waits for.
struct Sources {
  absl::Mutex mutex;
  std::map<const Collect*, std::shared_ptr<Source>> all ABSL_GUARDED_BY(mutex);
  std::atomic<uint64_t> left_out = 0;
};

Sources& TheSources() {
  static Sources* const sources = new Sources;
  return *sources;
}

prometheus::MetricType TypeOf(const Metric& metric) {
  switch (metric.type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

class Gathering final : public MetricWriter {
 public:
  void Value(const Metric& metric, double value, LabelValues labels) override {
    assert(metric.type != MetricType::kHistogram);
    if (Series* const series = SeriesOf(metric, labels)) series->value += value;
  }

  void Times(const Metric& metric, const LatencyHistogram::Snapshot& times, LabelValues labels) override {
    assert(metric.type == MetricType::kHistogram);
    if (Series* const series = SeriesOf(metric, labels)) series->times += times;
  }

  void Declare(const Metric& metric) override { families_[metric.name].metric = &metric; }

  uint64_t left_out() const { return left_out_; }

  std::vector<prometheus::MetricFamily> Families() const {
    std::vector<prometheus::MetricFamily> out;
    out.reserve(families_.size());
    for (const auto& [name, family] : families_) {
      prometheus::MetricFamily& one = out.emplace_back();
      one.name = std::string(name);
      one.help = std::string(family.metric->help);
      one.type = TypeOf(*family.metric);
      one.metric.reserve(family.series.size());
      for (const auto& [labels, series] : family.series)
        one.metric.push_back(ToClient(*family.metric, labels, series));
    }
    return out;
  }

 private:
  struct Series {
    double value = 0;
    LatencyHistogram::Snapshot times;
  };
  struct Family {
    const Metric* metric = nullptr;
    std::map<std::vector<std::string>, Series> series;  // by label values
  };

  Series* SeriesOf(const Metric& metric, LabelValues labels) {
    Family& family = families_[metric.name];
    family.metric = &metric;
    std::vector<std::string> key(labels.begin(), labels.end());
    const auto found = family.series.find(key);
    if (found != family.series.end()) return &found->second;
    if (family.series.size() >= kMaxSeriesPerMetric) {
      ++left_out_;
      return nullptr;
    }
    return &family.series[std::move(key)];
  }

  static prometheus::ClientMetric ToClient(const Metric& metric, const std::vector<std::string>& labels,
                                           const Series& series) {
    prometheus::ClientMetric out;
    for (size_t i = 0; i < labels.size(); ++i) {
      assert(i < metric.labels.size() && !metric.labels[i].empty());
      out.label.push_back({std::string(metric.labels[i]), labels[i]});
    }
    if (metric.type == MetricType::kHistogram) {
      ToHistogram(series.times, out.histogram);
    } else {
      out.counter.value = out.gauge.value = series.value;
    }
    return out;
  }

  static void ToHistogram(const LatencyHistogram::Snapshot& times, prometheus::ClientMetric::Histogram& out) {
    uint64_t below = 0;
    for (size_t i = 0; i < times.counts.size(); ++i) {
      below += times.counts[i];
      const double bound = i < LatencyHistogram::kBoundsSeconds.size()
                               ? LatencyHistogram::kBoundsSeconds[i]
                               : std::numeric_limits<double>::infinity();
      out.bucket.push_back({below, bound});
    }
    out.sample_count = below;
    out.sample_sum = times.sum_seconds;
  }

  std::map<std::string_view, Family> families_;
  uint64_t left_out_ = 0;
};

}  // namespace

MetricSource::MetricSource(std::function<void(MetricWriter&)> collect) : collect_(std::move(collect)) {
  const auto source = std::make_shared<Source>();
  {
    absl::MutexLock lock(&source->busy);
    source->collect = &collect_;
  }
  absl::MutexLock lock(&TheSources().mutex);
  TheSources().all[&collect_] = source;
}

MetricSource::~MetricSource() {
  std::shared_ptr<Source> source;
  {
    absl::MutexLock lock(&TheSources().mutex);
    const auto found = TheSources().all.find(&collect_);
    source = found->second;
    TheSources().all.erase(found);
  }
  absl::MutexLock lock(&source->busy);
  source->collect = nullptr;
}

std::string RenderMetrics() {
  Sources& sources = TheSources();
  std::vector<std::shared_ptr<Source>> all;
  {
    absl::MutexLock lock(&sources.mutex);
    for (const auto& [collect, source] : sources.all) all.push_back(source);
  }
  Gathering gathering;
  for (const std::shared_ptr<Source>& source : all) {
    absl::MutexLock lock(&source->busy);
    if (source->collect != nullptr) (*source->collect)(gathering);
  }
  sources.left_out += gathering.left_out();
  gathering.Value(kSources, static_cast<double>(all.size()), {});
  gathering.Value(kLeftOut, static_cast<double>(sources.left_out.load()), {});
  return prometheus::TextSerializer().Serialize(gathering.Families());
}

}  // namespace keystead
