// Plots as SVG text, coloured by classes of the page that they stand in.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keystead::load {

// For text and for attributes in double quotes.
std::string EscapeHtml(std::string_view text);

// From values to pixels. Values outside of the range are drawn at its border.
struct Scale {
  double from = 0;
  double to = 1;
  bool logarithmic = false;  // then from and to are above 0
  double pixel_from = 0;
  double pixel_to = 1;
  double At(double value) const;
  // Round values inside, at most about `most` of them.
  std::vector<double> Ticks(int most) const;
};

std::string FormatNumber(double value);  // "0.25", "12", "1500": as short as a tick needs

// One drawing. Coordinates are pixels from the upper left.
class Svg {
 public:
  Svg(int width, int height, std::string_view label);  // `label` is read aloud instead of it

  void Line(double x1, double y1, double x2, double y2, std::string_view css_class);
  void Path(const std::vector<std::pair<double, double>>& points, std::string_view css_class);
  // `title` is shown where the pointer rests; empty: none.
  void Rect(double x, double y, double width, double height, std::string_view css_class,
            std::string_view title = {});
  enum class Anchor { kStart, kMiddle, kEnd };
  void Text(double x, double y, std::string_view text, Anchor anchor = Anchor::kStart,
            std::string_view css_class = "label");
  std::string Finish() &&;

 private:
  std::string out_;
};

}  // namespace keystead::load
