#include "tests/load/svg.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/bytes.h"

namespace keystead::load {
namespace {

std::string Pixel(double value) { return absl::StrFormat("%.1f", value); }

std::vector<double> RoundSteps(double from, double to, double step) {
  std::vector<double> out;
  for (double at = std::ceil(from / step - 1e-9) * step; at <= to + step * 1e-9; at += step)
    out.push_back(at);
  return out;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

double Scale::At(double value) const {
  const double bounded = std::clamp(value, std::min(from, to), std::max(from, to));
  const double share =
      logarithmic ? std::log(bounded / from) / std::log(to / from) : (bounded - from) / (to - from);
  return pixel_from + share * (pixel_to - pixel_from);
}

std::vector<double> Scale::Ticks(int most) const {
  if (!logarithmic) {
    const double rough = (to - from) / most;
    const double magnitude = std::pow(10, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
      if (factor * magnitude >= rough) return RoundSteps(from, to, factor * magnitude);
    }
  }
  static constexpr std::array<double, 3> kWithin = {1, 2, 5};
  std::vector<double> all;
  std::vector<double> decades;
  for (double decade = std::pow(10, std::floor(std::log10(from))); decade <= to * (1 + 1e-9); decade *= 10) {
    for (const double factor : kWithin) {
      const double at = factor * decade;
      if (at < from * (1 - 1e-9) || at > to * (1 + 1e-9)) continue;
      all.push_back(at);
      if (factor == 1) decades.push_back(at);
    }
  }
  return all.size() <= static_cast<size_t>(most) ? all : decades;
}

std::string FormatNumber(double value) {
  if (value == 0) return "0";
  const double size = std::abs(value);
  if (size >= 10) return absl::StrFormat("%.0f", value);
  return size >= 1 ? absl::StrFormat("%.3g", value) : absl::StrFormat("%.2g", value);
}

Svg::Svg(int width, int height, std::string_view label)
    : out_(absl::StrCat("<svg viewBox=\"0 0 ", width, " ", height, "\" role=\"img\" aria-label=\"",
                        EscapeHtml(label), "\">")) {}

void Svg::Line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  absl::StrAppend(&out_, "<line x1=\"", Pixel(x1), "\" y1=\"", Pixel(y1), "\" x2=\"", Pixel(x2), "\" y2=\"",
                  Pixel(y2), "\" class=\"", Absl(css_class), "\"/>");
}

void Svg::Path(const std::vector<std::pair<double, double>>& points, std::string_view css_class) {
  if (points.empty()) return;
  absl::StrAppend(&out_, "<path class=\"", Absl(css_class), "\" d=\"");
  const char* command = "M";
  for (const auto& [x, y] : points) {
    absl::StrAppend(&out_, command, Pixel(x), " ", Pixel(y));
    command = "L";
  }
  absl::StrAppend(&out_, "\"/>");
}

void Svg::Rect(double x, double y, double width, double height, std::string_view css_class,
               std::string_view title) {
  absl::StrAppend(&out_, "<rect x=\"", Pixel(x), "\" y=\"", Pixel(y), "\" width=\"", Pixel(width),
                  "\" height=\"", Pixel(height), "\" class=\"", Absl(css_class), "\">");
  if (!title.empty()) absl::StrAppend(&out_, "<title>", EscapeHtml(title), "</title>");
  absl::StrAppend(&out_, "</rect>");
}

void Svg::Text(double x, double y, std::string_view text, Anchor anchor, std::string_view css_class) {
  const char* const name = anchor == Anchor::kStart ? "start" : anchor == Anchor::kMiddle ? "middle" : "end";
  absl::StrAppend(&out_, "<text x=\"", Pixel(x), "\" y=\"", Pixel(y), "\" text-anchor=\"", name,
                  "\" class=\"", Absl(css_class), "\">", EscapeHtml(text), "</text>");
}

std::string Svg::Finish() && { return std::move(out_) + "</svg>"; }

}  // namespace keystead::load
