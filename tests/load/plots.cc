#include "tests/load/plots.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/load/svg.h"
#include "tests/load/verdict.h"

namespace keystead::load {
namespace {

using nlohmann::json;
using Anchor = Svg::Anchor;

constexpr int kWidth = 460;
constexpr int kHeight = 250;
constexpr double kLeft = 52;
constexpr double kRight = 24;
constexpr double kTop = 26;
constexpr double kBottom = 36;
constexpr double kMostPercentile = 0.9999;
constexpr size_t kMostBars = 24;

double Milliseconds(const json& us) { return us.get<double>() / 1000; }

// The range of latencies, a little wider than what is in it.
struct Range {
  double from = INFINITY;
  double to = 0;
  void Take(double value) {
    if (!(value > 0)) return;
    from = std::min(from, value);
    to = std::max(to, value);
  }
  Scale Upright() const {
    const double low = std::isfinite(from) ? from : 0.1;
    return {low * 0.8, std::max(to, low * 2) * 1.25, true, kHeight - kBottom, kTop};
  }
};

void Frame(Svg& svg, const Scale& x, const Scale& y, const std::string& x_name, const std::string& y_name) {
  for (const double tick : y.Ticks(7)) {
    svg.Line(x.pixel_from, y.At(tick), x.pixel_to, y.At(tick), "grid");
    svg.Text(x.pixel_from - 6, y.At(tick) + 4, FormatNumber(tick), Anchor::kEnd);
  }
  svg.Text(8, 14, y_name);
  svg.Text((x.pixel_from + x.pixel_to) / 2, kHeight - 4, x_name, Anchor::kMiddle);
}

void Legend(Svg& svg, double x, const char* css_class, const std::string& text) {
  svg.Line(x, 10, x + 18, 10, css_class);
  svg.Text(x + 23, 14, text);
}

// Nines are equally far apart: 90 %, 99 %, 99.9 %.
double Nines(double share) { return -std::log10(1 - std::min(share, kMostPercentile)); }

std::vector<std::pair<double, double>> CurvePoints(const json& phase, const Scale& x, const Scale& y) {
  std::vector<std::pair<double, double>> out;
  for (const json& point : phase["curve"]) {
    const double share = point[1].get<double>();
    out.emplace_back(x.At(Nines(share)), y.At(Milliseconds(point[0])));
    if (share >= kMostPercentile) break;
  }
  return out;
}

}  // namespace

std::string DistributionPlot(const json& episode) {
  const json& alone = episode["phases"]["alone"];
  const json& with = episode["phases"]["neighbour"];
  Range range;
  for (const json* phase : {&alone, &with}) {
    for (const json& point : (*phase)["curve"]) range.Take(Milliseconds(point[0]));
  }
  Svg svg(kWidth, kHeight, "latency by percentile, alone and with the neighbour");
  const Scale x{0, Nines(kMostPercentile), false, kLeft, kWidth - kRight};
  const Scale y = range.Upright();
  Frame(svg, x, y, "percentile", "ms");
  for (const auto& [share, name] : std::initializer_list<std::pair<double, const char*>>{
           {0, "0"}, {0.5, "50"}, {0.9, "90"}, {0.99, "99"}, {0.999, "99.9"}, {0.9999, "99.99"}}) {
    svg.Line(x.At(Nines(share)), kTop, x.At(Nines(share)), kHeight - kBottom, "grid");
    svg.Text(x.At(Nines(share)), kHeight - kBottom + 15, name, Anchor::kMiddle);
  }
  svg.Path(CurvePoints(alone, x, y), "alone");
  svg.Path(CurvePoints(with, x, y), "with");
  Legend(svg, kWidth - 220, "alone", "alone");
  Legend(svg, kWidth - 140, "with", "with neighbour");
  return std::move(svg).Finish();
}

std::string TimelinePlot(const json& episode) {
  const json& windows = episode["windows"];
  Range range;
  for (const json& window : windows) {
    for (const char* const name : {"p50_us", "p99_us"}) {
      if (window[name].is_number()) range.Take(Milliseconds(window[name]));
    }
  }
  const double bound = kAimTail * Milliseconds(episode["phases"]["alone"]["p99_us"]);
  range.Take(bound);
  Svg svg(kWidth, kHeight, "latency over time; the neighbour's time is shaded");
  const double step = Recorder::kWindowNs * 1e-9;
  const double begin = windows.front()["at_seconds"].get<double>();
  const double end = windows.back()["at_seconds"].get<double>() + step;
  const Scale x{begin, end, false, kLeft, kWidth - kRight};
  const Scale y = range.Upright();
  const double until = episode["phases"]["neighbour"]["seconds"].get<double>();
  svg.Rect(x.At(0), kTop, x.At(until) - x.At(0), kHeight - kBottom - kTop, "shade");
  Frame(svg, x, y, "seconds since the neighbour began", "ms");
  for (const double tick : x.Ticks(8))
    svg.Text(x.At(tick), kHeight - kBottom + 15, FormatNumber(tick), Anchor::kMiddle);
  for (const auto& [name, css_class] :
       {std::pair<const char*, const char*>{"p50_us", "median"}, {"p99_us", "with"}}) {
    std::vector<std::pair<double, double>> points;
    for (const json& window : windows) {
      if (window[name].is_number())
        points.emplace_back(x.At(window["at_seconds"].get<double>() + step / 2),
                            y.At(Milliseconds(window[name])));
    }
    svg.Path(points, css_class);
  }
  svg.Line(kLeft, y.At(bound), kWidth - kRight, y.At(bound), "aim");
  Legend(svg, kWidth - 320, "with", "p99");
  Legend(svg, kWidth - 250, "median", "p50");
  Legend(svg, kWidth - 180, "aim", "1.5 × p99 alone");
  return std::move(svg).Finish();
}

std::string GoodputPlot(const json& episode) {
  const json& victims = episode["victims"];
  const size_t shown = std::min(victims.size(), kMostBars);
  constexpr double kBar = 11;
  constexpr double kName = 170;
  const double height = 24 + static_cast<double>(shown) * (2 * kBar + 8) + 8;
  double most = 1;
  for (const json& victim : victims)
    most = std::max(
        {most, victim["goodput_alone"].get<double>(), victim["goodput_with_neighbour"].get<double>()});
  Svg svg(kWidth, static_cast<int>(height), "acknowledged records per second of each tenant");
  const Scale x{0, most, false, kName, kWidth - 60};
  svg.Text(8, 14, "acknowledged records per second");
  double at = 24;
  for (size_t i = 0; i < shown; ++i) {
    const json& victim = victims[i];
    const std::string name = victim["name"].get<std::string>();
    svg.Text(kName - 6, at + kBar + 4, name.size() > 26 ? name.substr(0, 25) + "…" : name, Anchor::kEnd);
    for (const auto& [field, css_class] : {std::pair<const char*, const char*>{"goodput_alone", "bar-alone"},
                                           {"goodput_with_neighbour", "bar-with"}}) {
      const double value = victim[field].get<double>();
      svg.Rect(kName, at, x.At(value) - kName, kBar - 1, css_class,
               absl::StrCat(name, ": ", FormatNumber(value)));
      svg.Text(x.At(value) + 5, at + kBar - 2, FormatNumber(value), Anchor::kStart, "small");
      at += kBar;
    }
    at += 8;
  }
  return std::move(svg).Finish();
}

std::string SweepPlot(const json& sweep) {
  const json& rows = sweep["rows"];
  double most = 1;
  for (const json& row : rows) most = std::max(most, row["records_per_second"].get<double>());
  constexpr double kRow = 26;
  Svg svg(kWidth, static_cast<int>(24 + kRow * static_cast<double>(rows.size())),
          "throughput by number of tenants");
  const Scale x{0, most, false, 110, kWidth - 80};
  svg.Text(8, 14, "records per second");
  double at = 24;
  for (const json& row : rows) {
    const double value = row["records_per_second"].get<double>();
    svg.Text(104, at + 14, absl::StrCat(row["tenants"].get<int>(), " tenants"), Anchor::kEnd);
    svg.Rect(110, at, x.At(value) - 110, kRow - 8, "bar-alone");
    svg.Text(x.At(value) + 6, at + 14, FormatNumber(value));
    at += kRow;
  }
  return std::move(svg).Finish();
}

}  // namespace keystead::load
