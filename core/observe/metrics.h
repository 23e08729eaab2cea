// What a process counts and measures, for Prometheus (prometheus.io/docs/instrumenting/exposition_formats,
// version 0.0.4). Nothing is kept here: whoever counts something for itself says at each scrape how much it
// is, so that the data path pays for a counter that it has anyway and for nothing else.
//
// Names, labels and label values are chosen here or by an operator (a tenant's name), never by a peer: no
// instantiation, no sender, no text that came from outside. docs/operations.md lists every metric.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/observe/latency_histogram.h"

namespace keystead {

enum class MetricType { kCounter, kGauge, kHistogram };

// A constant. The name says the unit at its end: _total of a counter, _seconds of a histogram and of a time,
// _bytes, or what it counts. The help is one line.
struct Metric {
  std::string_view name;
  std::string_view help;
  MetricType type = MetricType::kCounter;
  std::array<std::string_view, 2> labels{};  // names; empty: none
};

// Takes what sources say. Values under one name and the same labels are added up: a process with two servers
// has one number. Not thread-safe; lives only inside the call that it is handed to.
class MetricWriter {
 public:
  using LabelValues = std::initializer_list<std::string_view>;  // as many as the metric has labels

  virtual void Value(const Metric& metric, double value, LabelValues labels = {}) = 0;
  virtual void Times(const Metric& metric, const LatencyHistogram::Snapshot& times,
                     LabelValues labels = {}) = 0;
  // There, though there is no value now: whoever watches knows that it may come.
  virtual void Declare(const Metric& metric) = 0;

  template <class Number>
  requires std::is_integral_v<Number>
  void Value(const Metric& metric, Number value, LabelValues labels = {}) {
    Value(metric, static_cast<double>(value), labels);
  }

 protected:
  ~MetricWriter() = default;
};

// Asked at every scrape, as long as it lives: once the destructor has returned, `collect` does not run and
// will not again. `collect` runs on the scraping thread, once at a time; it must not block for long, and may
// take locks, but none that is held while this source is destroyed. Declare it as the last member, so that it
// goes first.
class MetricSource {
 public:
  explicit MetricSource(std::function<void(MetricWriter&)> collect);
  ~MetricSource();
  MetricSource(const MetricSource&) = delete;
  MetricSource& operator=(const MetricSource&) = delete;

 private:
  const std::function<void(MetricWriter&)> collect_;
};

// Of one metric; above it values are left out, and keystead_metrics_left_out_total says how many.
inline constexpr size_t kMaxSeriesPerMetric = 40'000;

// All sources asked, as text. Thread-safe; one at a time.
std::string RenderMetrics();

}  // namespace keystead
